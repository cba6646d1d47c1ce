//! The names of the files that tasks over Kafka write.
//!
//! `part-<task>-<id>-<sequence>.<extension>`: the id is drawn when a task first writes to a table, and stays with it, so that no
//! two tasks, tables, pipelines or clusters share a name. A hidden file also has the generation and the owner that made it in its
//! name, so that owners which follow each other never write to the same file.

use std::path::PathBuf;

/// A hidden file of one task and table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) sequence: u64,
    pub(super) generation: u32,
    pub(super) owner: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) folder: PathBuf,
    pub(super) task: u32,
    pub(super) extension: String,
}

impl Names {
    fn stem(&self, id: u64) -> String {
        format!("part-{:03}-{id:016x}", self.task)
    }

    pub(super) fn visible(&self, id: u64, sequence: u64) -> PathBuf {
        self.folder.join(format!("{}-{sequence:06}.{}", self.stem(id), self.extension))
    }

    pub(super) fn hidden(&self, id: u64, hidden: Hidden) -> PathBuf {
        let Hidden { sequence, generation, owner } = hidden;
        let name = format!(".{}-{sequence:06}.{}.{generation}-{owner:016x}.tmp", self.stem(id), self.extension);
        self.folder.join(name)
    }

    /// The hidden file that a name means, where it is one of this task and table.
    pub(super) fn parse(&self, id: u64, name: &str) -> Option<Hidden> {
        let rest = name.strip_prefix(&format!(".{}-", self.stem(id)))?.strip_suffix(".tmp")?;
        let (sequence, rest) = rest.split_once('.')?;
        let (generation, owner) = rest.strip_prefix(&self.extension)?.strip_prefix('.')?.split_once('-')?;
        Some(Hidden {
            sequence: sequence.parse().ok()?,
            generation: generation.parse().ok()?,
            owner: u64::from_str_radix(owner, 16).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_file_is_known_by_its_name() {
        let names = |task| Names { folder: PathBuf::from("/data"), task, extension: "csv.gz".to_owned() };
        let hidden = Hidden { sequence: 12, generation: 3, owner: 0xbeef };
        let path = names(7).hidden(0xfeed, hidden);
        assert_eq!(
            path.to_str(),
            Some("/data/.part-007-000000000000feed-000012.csv.gz.3-000000000000beef.tmp"),
            "hidden by its dot"
        );
        let name = path.file_name().and_then(|name| name.to_str()).expect("UTF-8");
        assert_eq!(names(7).parse(0xfeed, name), Some(hidden));
        assert_eq!(names(8).parse(0xfeed, name), None, "another task's");
        assert_eq!(names(7).parse(0xfee, name), None, "another table's");
        assert_eq!(names(7).parse(0xfeed, "part-007-000000000000feed-000012.csv.gz"), None, "a visible one");
    }
}
