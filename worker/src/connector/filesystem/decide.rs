//! What becomes of the file that a last commit names, when the task is taken over: one pure decision.
//!
//! | committed | hidden file | visible file | what is done |
//! |---|---|---|---|
//! | no file | – | – | nothing |
//! | open, n bytes | at least n, made by this process | – | cut to n bytes, closed |
//! | open, n bytes | at least n, made by another one | – | its first n bytes are copied into a file of this owner, closed |
//! | open, n bytes | shorter, or none | – | refused |
//! | closed, n bytes | n | anything | published |
//! | closed, n bytes | other than n | – | refused |
//! | closed, n bytes | none | n, or none | nothing: it was published, and may have been moved away since |
//! | closed, n bytes | none | other than n | refused |
//!
//! The process that made an open file may still run, and write: it only learns from its next transaction that the task has a newer owner.
//! Therefore nothing is published that it has open.

use davy_engine::log::sink_state::CommittedFile;

/// The lengths of the files that are there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) hidden: Option<u64>,
    pub(super) visible: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// There is no file, or none that is not published.
    Nothing,
    /// It is closed and waits to be published.
    Publish,
    Cut,
    Copy,
    /// It was deleted, or has another length; this is how many bytes are there.
    Refuse(Option<u64>),
}

pub(super) fn decide(committed: Option<CommittedFile>, found: Lengths, owner: u64) -> Step {
    let Some(file) = committed else { return Step::Nothing };
    match (file.is_closed, found.hidden) {
        (false, Some(length)) if file.length <= length => {
            if file.owner == owner {
                Step::Cut
            } else {
                Step::Copy
            }
        }
        (true, Some(length)) if length == file.length => Step::Publish,
        (true, None) if found.visible.is_none_or(|length| length == file.length) => Step::Nothing,
        (true, None) => Step::Refuse(found.visible),
        (_, length) => Step::Refuse(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_file_is_recovered_as_the_table_says() {
        let (open, closed) = (Some(false), Some(true));
        let cases = [
            (None, Some(9), Some(9), Step::Nothing),
            (open, Some(9), None, Step::Refuse(Some(9))),
            (open, None, None, Step::Refuse(None)),
            (open, None, Some(10), Step::Refuse(None)),
            (closed, Some(9), None, Step::Refuse(Some(9))),
            (closed, Some(11), None, Step::Refuse(Some(11))),
            (closed, None, Some(9), Step::Refuse(Some(9))),
            (open, Some(10), None, Step::Copy),
            (open, Some(99), None, Step::Copy),
            (closed, Some(10), None, Step::Publish),
            (closed, Some(10), Some(10), Step::Publish),
            (closed, None, Some(10), Step::Nothing),
            (closed, None, None, Step::Nothing),
        ];
        for (is_closed, hidden, visible, expected) in cases {
            let file = is_closed.map(|is_closed| CommittedFile { is_closed, length: 10, generation: 1, owner: 5 });
            assert_eq!(decide(file, Lengths { hidden, visible }, 6), expected, "{file:?}, {hidden:?}, {visible:?}");
        }
        let own = CommittedFile { is_closed: false, length: 10, generation: 1, owner: 5 };
        assert_eq!(decide(Some(own), Lengths { hidden: Some(12), visible: None }, 5), Step::Cut);
    }
}
