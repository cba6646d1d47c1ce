//! Words that this project used in a sense of its own, and the words of Kafka's and Flink's documentation that replace them.
//!
//! Looks at whole words, in names (`snake_case`, `CamelCase`) as in sentences. A line with a retired word is rewritten, not
//! exempted: most are private names for a known thing, the others hide which component acts.

use crate::repository::{File, files};

/// This file lists the words.
const MYSELF: &str = "cli/tests/it/words.rs";

const KINDS: &[&str] = &[".rs", ".md", ".proto", ".sh", ".py", ".toml", ".sql", "Makefile", ".ci/run"];

/// The retired words that share a replacement.
struct Retired {
    words: &'static [&'static str],
    instead: &'static str,
    /// Preceding words that give the word its ordinary sense.
    fine_after: &'static [&'static str],
}

const fn retired(words: &'static [&'static str], instead: &'static str) -> Retired {
    Retired { words, instead, fine_after: &[] }
}

const WORDS: &[Retired] = &[
    Retired {
        fine_after: &["dead"],
        ..retired(&["letter", "letters"], "bad record; its topic is the dead letter topic")
    },
    Retired {
        fine_after: &["question", "quotation", "left", "right"],
        ..retired(&["mark", "marks"], "offset metadata")
    },
    retired(&["feed", "feeds", "fed"], "placeholder scan in plans; otherwise `send`, `produce`, `input`"),
    retired(&["life", "lives"], "attempt; of an object, lifetime or lifecycle"),
    Retired { fine_after: &["mimic"], ..retired(&["trial", "trials"], "end-to-end test") },
    retired(&["soup"], "mutated scripts"),
    retired(&["stretch", "stretches"], "row batch"),
    retired(&["standing"], "role, leader state"),
    retired(&["keeper", "keepers"], "catalog writer"),
    retired(&["pace"], "rate limit in the coordinator, throttle in generators"),
    // The key of records that earlier builds wrote.
    Retired { fine_after: &["alias"], ..retired(&["wish"], "desired state") },
    retired(&["ask", "asks", "asked", "asking"], "request, call, query; say which component does it"),
    retired(&["tell", "tells", "told"], "report, distinguish; say which component reports"),
    retired(&["tend"], "update idleness"),
    retired(&["attend"], "worker session"),
    retired(&["settle", "settled"], "start-up grace period"),
    retired(&["whoever", "somebody", "someone", "nobody"], "the component that acts"),
];

/// Parts of a line that have no place in it, whatever stands around them.
const PHRASES: &[(&str, &str)] = &[
    ("gets no ear", "the receiver rejects it"),
    ("stands still", "is paused"),
    ("stand still", "are paused"),
    ("gives way", "the component that stops or releases"),
    ("looks after", "what the component does"),
    ("what is told", "what the component reports"),
    ("is heard", "the receiver accepts it"),
    ("keeps no state between processes", "which state is kept where"),
    ("workers come next", "what works now"),
    ("fn place(", "a name for what the function does"),
    ("fn way(", "output"),
];

/// The words of a line in lower case: `BadRecord`, `bad_record` and `bad record` are two words each.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_is_lower = false;
    for c in line.chars() {
        let is_inside = c.is_alphanumeric();
        if !is_inside || (c.is_uppercase() && previous_is_lower) {
            words.push(String::new());
        }
        if is_inside {
            words.last_mut().expect("there is always a last word").extend(c.to_lowercase());
        }
        previous_is_lower = c.is_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn complaints_of_line(line: &str) -> Vec<String> {
    let words = words(line);
    let mut complaints = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let is_ordinary = |rule: &Retired| index.checked_sub(1).is_some_and(|i| rule.fine_after.contains(&&*words[i]));
        let rule = WORDS.iter().find(|rule| rule.words.contains(&&**word) && !is_ordinary(rule));
        complaints.extend(rule.map(|rule| format!("`{word}`: {}", rule.instead)));
    }
    let phrases = PHRASES.iter().filter(|(phrase, _)| line.contains(phrase));
    complaints.extend(phrases.map(|(phrase, instead)| format!("`{phrase}`: {instead}")));
    complaints
}

fn retired_words(files: &[File]) -> Vec<String> {
    let judged = files.iter().filter(|file| file.path != MYSELF && KINDS.iter().any(|kind| file.path.ends_with(kind)));
    let mut complaints = Vec::new();
    for file in judged {
        for (index, line) in file.text().lines().enumerate() {
            let of_line = complaints_of_line(line);
            complaints.extend(of_line.iter().map(|complaint| format!("{}:{}: {complaint}", file.path, index + 1)));
        }
    }
    complaints
}

#[test]
fn no_retired_word_comes_back() {
    let files = files();
    assert!(files.iter().any(|file| file.path == MYSELF), "the list of files is not this repository's");
    let complaints = retired_words(&files);
    assert_eq!(complaints, [""; 0]);
}

#[test]
fn a_retired_word_is_shown_with_file_line_and_replacement() {
    let made_up = [
        File::new("a.rs", "let dead_letter = Watermark::at(1); // a question mark\nlet task_life = told(LifeOf);"),
        File::new("b.md", "Benchmarks, namespaces and lifetimes\nthe worker gives way"),
        File::new("c.csv", "soup"),
    ];
    assert_eq!(
        retired_words(&made_up),
        [
            "a.rs:2: `life`: attempt; of an object, lifetime or lifecycle",
            "a.rs:2: `told`: report, distinguish; say which component reports",
            "a.rs:2: `life`: attempt; of an object, lifetime or lifecycle",
            "b.md:2: `gives way`: the component that stops or releases",
        ]
    );
}
