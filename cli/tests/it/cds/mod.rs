//! `davy cds`: its arguments, and its script over files. What needs a broker is in `kafka`.

pub(crate) mod kafka;
mod records;

use std::io::Read;
use std::path::{Path, PathBuf};

use self::records::{Flow, IPV6, LAYOUTS, PLAIN, expected, make_model};
use crate::run::{davy, folder, repository, text};

#[test]
fn wrong_arguments_are_named_with_exit_code_2() {
    let folder = folder(&[("card.toml", "format = 1")]);
    let with = |more: &[&'static str]| [&["cds", "-b", "127.0.0.1:1", "-c", "in", "-p", "out"], more].concat();
    let cases = [
        (vec!["cds"], "--broker <HOST:PORT>"),
        (vec!["cds", "-b", "h:1", "-c", "in"], "--produce <TOPIC>"),
        (vec!["cds", "-b"], "a value is required for '--broker"),
        (vec!["cds", "-b", "h:1", "-c", "same", "-p", "same"], "`same` cannot be read and written"),
        (with(&["-x"]), "unexpected argument '-x'"),
        (with(&["-tid", "7"]), "--tenantservice"),
        (with(&["-ts", "http://t/"]), "--tenantid"),
        (with(&["--threshold", "1.5"]), "is not a confidence from 0 to 1"),
        (with(&["--model", "none.toml"]), "none.toml"),
        (with(&["--model", "card.toml"]), "card.toml"),
        (with(&["--threshold", "1", "--name", "a.b"]), "give one with --name"),
        (with(&["--threshold", "1", "--from", "noon"]), "option `source.offset` cannot be `noon`"),
        (with(&["--threshold", "1", "--set", "flows.speed=1"]), "unknown option `speed`"),
    ];
    for (arguments, expected) in cases {
        let is_planned = arguments.contains(&"--from") || arguments.contains(&"--set");
        let output = davy(&if is_planned { repository() } else { folder.path().to_owned() }, &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?} should say {expected}: {said}");
    }
}

fn script(folder: &Path, arguments: &[&str]) -> String {
    let arguments = [&["cds", "-b", "h:1", "-c", "in", "-p", "out", "--print-sql"], arguments].concat();
    let output = davy(folder, &arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_printed_script_is_the_shipped_one_with_the_arguments_in_it() {
    let root = repository();
    let printed = script(&root, &["--dead-letter-topic", "bad", "--compat-key", "--from", "latest"]);
    for expected in [
        "SET pipeline = 'cds-in-out';",
        "dead_letter_topic = 'bad'",
        "key = 'line'",
        "'source.offset' = 'latest'",
        // The threshold of the shipped model.
        "confidence >= 0.88 ",
    ] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
    let folder = folder(&[("printed.sql", &printed)]);
    let path = folder.path().join("printed.sql");
    let output = davy(&root, &["validate", &path.to_string_lossy()]);
    assert_eq!(text(&output.stdout), "ok\n", "{}", text(&output.stderr));
    let long = ["cds", "--broker", "h:1", "--consume=in", "--produce", "out", "--print-sql"];
    assert_eq!(text(&davy(&root, &long).stdout), script(&root, &[]));
}

/// The printed script over `records.csv` into `verdicts`, and what it said.
fn run_over_files(folder: &Path, content: &[u8]) -> (String, String) {
    let printed = script(folder, &["--model", "model/card.toml"]);
    let replace = |text: String, begin: &str, end: &str, by: &str| {
        let at = text.find(begin).unwrap_or_else(|| panic!("no `{begin}` in {text}"));
        let to = at + text[at..].find(end).expect("its end");
        text[..at].to_owned() + by + &text[to..]
    };
    let source = "connector = 'single_file', type = 'source', path = 'records.csv', ";
    let sink = "connector = 'single_file', type = 'sink', path = 'verdicts', ";
    let text_ = replace(printed, "connector = 'kafka', type = 'source'", "format =", source);
    let text_ = replace(text_, "connector = 'kafka', type = 'sink'", "format =", sink);
    let text_ = replace(text_, ",\n    key = 'flow'", "\n);", "");
    std::fs::write(folder.join("files.sql"), text_).expect("written");
    std::fs::write(folder.join("records.csv"), content).expect("written");
    let output = davy(folder, &["run", "files.sql"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    (std::fs::read_to_string(folder.join("verdicts")).expect("verdicts"), text(&output.stderr))
}

#[test]
fn every_layout_comes_out_as_it_was_with_the_confidence_of_its_own_columns() {
    const ZERO: Flow = Flow { aggregates: "0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0", ..IPV6 };
    let folder = folder(&[]);
    make_model(folder.path());
    // Aggregates that are not those of the flow: where they are given, they count.
    let given = Flow { aggregates: "9.0,0.0,900.5,1e-3,1,999,0.5,7", ..PLAIN };
    let partly = Flow { aggregates: "9.0,,,0.0,0.0,,0.0,", ..PLAIN };
    let still = Flow { td: "0.000", counts: [0, 0, 0, 0], aggregates: "0,0,0,0,0,0,0,0", ..PLAIN };
    let negative = Flow { td: "18446744073709540.000", ..ZERO };
    let large = Flow { counts: [3_000_000_000, 9_007_199_254_740_993, 5_000_000_000, 1], ..ZERO };
    let records: Vec<String> = [PLAIN, IPV6, given, ZERO, partly, still, negative, large]
        .iter()
        .flat_map(|flow| LAYOUTS.map(|n_columns| flow.record(n_columns)))
        .collect();
    let (verdicts, said) = run_over_files(folder.path(), records.join("\n").as_bytes());
    let expected = expected(&folder.path().join("forest.json"), &records);
    let found: Vec<&str> = verdicts.lines().collect();
    assert_eq!(found, expected, "{said}");
    let distinct: std::collections::BTreeSet<&str> = found.iter().filter_map(|line| line.rsplit(',').next()).collect();
    assert!(6 <= distinct.len() && distinct.contains("0.0"), "a test of nothing: {distinct:?}");
}

#[test]
fn what_is_not_used_passes_byte_for_byte() {
    let folder = folder(&[]);
    make_model(folder.path());
    let plain = PLAIN.record(71);
    let strange = plain.replace(",$,", ", ünï → '%' ,").replace("2024-03-01 10:00:20", "yesterday");
    let quoted = plain.replace(",$,", ",\"a,b\",");
    let content =
        format!("\u{feff}{plain}\r\n\"{plain}\"\n\n\"{plain}\\n{}\"\n{}\n{quoted}\n", IPV6.record(57), strange);
    let (verdicts, _) = run_over_files(folder.path(), content.as_bytes());
    let records: Vec<String> =
        verdicts.lines().map(|line| line.rsplitn(4, ',').nth(3).expect("a record").to_owned()).collect();
    let expected = [&plain, &plain, &plain, &IPV6.record(57), &strange, &quoted];
    assert_eq!(records.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn bad_records_are_counted_and_cost_only_themselves() {
    let folder = folder(&[]);
    make_model(folder.path());
    let plain = PLAIN.record(71);
    let with = |from: &str, to: &str| plain.replace(from, to);
    let (before, after) = plain.split_once('$').expect("Zeek's field");
    let bad: [(&str, Vec<u8>); 8] = [
        ("malformed", plain.splitn(60, ',').take(52).collect::<Vec<_>>().join(",").into()),
        ("too_short", b"a,b,c".to_vec()),
        ("too_long", format!("{plain},1,2,3,4").into()),
        ("wrong_type", with(",1800,", ",many,").into()),
        ("missing", with(",1800,", ",,").into()),
        ("nul", with(",$,", ",\0,").into()),
        ("bad_utf8", [before.as_bytes(), &b"\xff"[..], after.as_bytes()].concat()),
        ("too_long", with(",$,", &format!(",{},", "x".repeat(70_000))).into()),
    ];
    for (reason, record) in bad {
        let content = [plain.as_bytes(), b"\n", &record, b"\n", plain.as_bytes(), b"\n"].concat();
        let (verdicts, said) = run_over_files(folder.path(), &content);
        assert_eq!(verdicts.lines().count(), 2, "{reason}: {said}");
        assert!(said.contains(&format!("1 bad records ({reason})")), "{reason}: {said}");
    }
    // What the model has no score for is in the output too.
    let (verdicts, _) = run_over_files(folder.path(), with(",0.6,", ",inf,").as_bytes());
    assert!(verdicts.ends_with(",Crypto,Malware,nan\n"), "{verdicts}");
}

/// Real flows and the system's own forest, which the project may not ship; where they are missing, this says so.
#[test]
fn the_systems_own_forest_gives_the_confidences_of_scikit_learn() {
    #[expect(clippy::disallowed_methods, reason = "the environment says where real flows are")]
    let named = std::env::var_os("DAVY_TEST_DATA").map(PathBuf::from);
    let beside = ["../shared/data", "../../shared/data"].map(|path| repository().join(path));
    let Some(data) = named.into_iter().chain(beside).find(|data| data.join("cds").is_dir()) else {
        println!("left out: the CDS forest (no DAVY_TEST_DATA and no ../shared/data)");
        return;
    };
    let forest = data.join("cds/cds-forest.json.gz");
    let folder = folder(&[]);
    let output = davy(folder.path(), &["model", "import", &forest.to_string_lossy(), "--out", "model"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut content = String::new();
    let file = std::fs::File::open(data.join("cds/cj-sniffer-cds71-labelled.csv.gz")).expect("labelled flows");
    flate2::read::GzDecoder::new(file).read_to_string(&mut content).expect("gzip");
    // Without label, capture and coin, and all layouts in turn.
    let record = |(number, line): (usize, &str)| {
        let fields: Vec<&str> = line.split(',').take(71).collect();
        match number % 3 {
            0 => fields.join(","),
            1 => fields[..48].join(","),
            _ => [&fields[..48], &fields[49..71]].concat().join(","),
        }
    };
    let mut records: Vec<String> = content.lines().skip(1).enumerate().map(record).collect();
    let sample = std::fs::read_to_string(data.join("cds/sample-new-input.csv")).expect("a sample");
    let samples: Vec<&str> = sample.lines().filter(|line| line.starts_with("20")).collect();
    records.extend(samples.iter().map(|line| (*line).to_owned()));
    let (verdicts, said) = run_over_files(folder.path(), records.join("\n").as_bytes());
    let expected = expected(&forest, &records);
    let found: Vec<&str> = verdicts.lines().collect();
    assert!(12_000 < found.len() && found.len() == expected.len(), "{} of {}: {said}", found.len(), expected.len());
    let wrong: Vec<_> = found.iter().zip(&expected).filter(|(found, expected)| found != expected).take(3).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let output = std::fs::read_to_string(data.join("cds/sample-new-output.csv")).expect("a sample");
    let outputs: Vec<&str> = output.lines().filter(|line| line.starts_with("20")).collect();
    assert_eq!(found[found.len() - samples.len()..], outputs);
}
