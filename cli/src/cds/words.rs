//! `-ts` and `-tid`, the original's options of several characters behind one dash: clap would read them as `-t -s`.

use std::ffi::OsString;

/// What each is in clap's words.
const WORDS: [(&str, &str); 2] = [("-ts", "--tenantservice"), ("-tid", "--tenantid")];

/// The command line with the long words of `davy cds`; any other is as it was.
pub(crate) fn with_long_words(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    if let Some(command) = command(&arguments)
        && arguments[command] == "cds"
    {
        arguments[command + 1..].iter_mut().for_each(lengthen);
    }
    arguments
}

/// Where the name of the command is: behind the program and the options of all commands.
fn command(arguments: &[OsString]) -> Option<usize> {
    let mut at = 1;
    while arguments.get(at)?.to_string_lossy().starts_with("--log-format") {
        at += if arguments[at] == "--log-format" { 2 } else { 1 };
    }
    (at < arguments.len()).then_some(at)
}

fn lengthen(argument: &mut OsString) {
    let Some(text) = argument.to_str() else { return };
    let (word, value) = text.split_once('=').map_or((text, None), |(word, value)| (word, Some(value)));
    let Some((_, long)) = WORDS.iter().find(|(short, _)| *short == word) else { return };
    *argument = value.map_or_else(|| (*long).to_owned(), |value| format!("{long}={value}")).into();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_the_command_change() {
        let cases = [
            ("davy cds -b h -ts http://t/ -tid 7", "davy cds -b h --tenantservice http://t/ --tenantid 7"),
            ("davy cds -ts=http://t/?a=b -tid=7", "davy cds --tenantservice=http://t/?a=b --tenantid=7"),
            ("davy --log-format json cds -tid 7", "davy --log-format json cds --tenantid 7"),
            ("davy --log-format=json cds -tid 7", "davy --log-format=json cds --tenantid 7"),
            ("davy cds -t -tsx -c ts", "davy cds -t -tsx -c ts"),
            ("davy run cds -ts", "davy run cds -ts"),
            ("davy --log-format", "davy --log-format"),
            ("davy", "davy"),
        ];
        for (given, expected) in cases {
            let words = with_long_words(given.split(' ').map(OsString::from));
            assert_eq!(words, expected.split(' ').map(OsString::from).collect::<Vec<_>>(), "{given}");
        }
    }
}
