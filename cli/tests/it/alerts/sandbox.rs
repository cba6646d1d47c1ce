//! Collect, anonymise, train, deploy, as docs/sysdig.md shows it: with the recorded session, and with a small trainer in Python.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::Command;

use crate::run::{davy, repository, text};

/// As many benign records as this, evenly over the session.
const EVERY: usize = 6;

/// The session's records of miners and of others, as two files with nfdump's columns.
fn collect(folder: &Path) -> [String; 2] {
    let lab = repository().join("models/capture");
    let mut records = String::new();
    let file = std::fs::File::open(lab.join("lab.csv.gz")).expect("the session");
    flate2::read::GzDecoder::new(file).read_to_string(&mut records).expect("text");
    let labels = std::fs::read_to_string(lab.join("labels.csv")).expect("labels");
    let miners: BTreeSet<(&str, &str, &str)> = labels
        .lines()
        .filter(|line| line.contains(",miner,"))
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0], cells[1], cells[2])
        })
        .collect();
    let header = records.lines().next().expect("a header");
    let (mut mining, mut benign) = (vec![header], vec![header]);
    for (index, line) in records.lines().skip(1).enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        if cells.len() != 48 {
            continue;
        }
        let (sa, da, sp, dp) = (cells[3], cells[4], cells[5], cells[6]);
        if miners.contains(&(sa, da, dp)) || miners.contains(&(da, sa, sp)) {
            mining.push(line);
        } else if index % EVERY == 0 {
            benign.push(line);
        }
    }
    let contents = [mining.join("\n") + "\n", benign.join("\n") + "\n"];
    for (name, content) in ["miners", "benign"].iter().zip(&contents) {
        std::fs::write(folder.join(format!("{name}.csv")), content).expect("written");
    }
    contents
}

/// What a command of the repository prints.
fn run(arguments: &[&str]) -> String {
    let output = davy(&repository(), arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// The features of a file of flows as CSV, with the columns before them apart: times, addresses, ports.
fn features(path: &str) -> Vec<(Vec<String>, Vec<String>)> {
    let rows = run(&["run", "pipelines/features_flow.sql", "--input", path, "-o", "csv", "--quiet"]);
    let split = |line: &str| {
        let cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        (cells[..7].to_vec(), cells[7..].to_vec())
    };
    rows.lines().skip(1).map(split).collect()
}

#[test]
fn a_model_that_is_trained_with_anonymised_flows_finds_miners_in_the_real_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let contents = collect(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (name, content) in ["miners", "benign"].iter().zip(&contents) {
        let (from, to) = (path(&format!("{name}.csv")), path(&format!("anonymous-{name}.csv")));
        let flags = [format!("flows.path={from}"), format!("anonymised.path={to}")];
        run(&["run", "pipelines/anonymise.sql", "--set", &flags[0], "--set", &flags[1]]);
        check_anonymised(content, &std::fs::read_to_string(&to).expect("anonymised"));

        let (real, anonymous) = (features(&from), features(&to));
        assert_eq!(real.len(), content.lines().count() - 1);
        for (real, anonymous) in real.iter().zip(&anonymous) {
            assert_eq!(real.1, anonymous.1, "features stay");
            assert!(real.0[2] != anonymous.0[2] && real.0[3] != anonymous.0[3], "{:?} {:?}", real.0, anonymous.0);
        }
        let csv = run(&["run", "pipelines/features_flow.sql", "--input", &to, "-o", "csv", "--quiet"]);
        std::fs::write(folder.path().join(format!("{name}-features.csv")), csv).expect("written");
    }

    let trainer = repository().join("cli/tests/it/alerts/train.py");
    let trained = Command::new("python3")
        .arg(trainer)
        .args(["benign-features.csv", "miners-features.csv"])
        .current_dir(folder.path())
        .output()
        .expect("python3 is installed");
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    std::fs::write(folder.path().join("forest.json"), trained.stdout).expect("written");
    let (forest, model) = (path("forest.json"), path("model"));
    run(&["model", "import", &forest, "--out", &model, "--name", "mine", "--threshold", "0.7"]);
    let card = format!("{model}/card.toml");
    run(&["model", "verify", &card]);

    let share = |name: &str, n_records: usize| {
        let set = format!("mining_confidence.model={card}");
        let input = path(&format!("{name}.csv"));
        let found = run(&["run", "pipelines/cds_flow.sql", "--input", &input, "--set", &set, "-o", "csv", "--quiet"]);
        (found.lines().count().saturating_sub(1)) as f64 / n_records as f64
    };
    let (miners, benign) = (share("miners", contents[0].lines().count()), share("benign", contents[1].lines().count()));
    println!("flagged: {miners:.3} of miners, {benign:.3} of others");
    assert!(0.5 < miners && benign < 0.05, "it was trained with these flows: {miners} of miners, {benign} of others");
}

/// No address and nothing else of the original is left, and as many addresses as before.
fn check_anonymised(original: &str, anonymised: &str) {
    let addresses = |text: &str| -> BTreeSet<String> {
        let of_line = |line: &str| line.split(',').skip(3).take(2).map(str::to_owned).collect::<Vec<_>>();
        text.lines().skip(1).flat_map(of_line).collect()
    };
    let (before, after) = (addresses(original), addresses(anonymised));
    assert_eq!(before.len(), after.len(), "no two addresses become the same");
    assert_eq!(before.intersection(&after).count(), 0);
    for kept in ["fd77:da77", "127.0.0.1"] {
        assert!(original.contains(kept) && !anonymised.contains(kept), "{kept}");
    }
    assert!(anonymised.lines().all(|line| line.split(',').count() == 48));
}

#[test]
fn three_levels_per_tenant_make_alerts() {
    let folder = tempfile::tempdir().expect("a folder");
    let alerts = folder.path().join("alerts.jsonl");
    run(&["run", "pipelines/levels.sql", "--set", &format!("alerts.path={}", alerts.display())]);
    let written = std::fs::read_to_string(&alerts).expect("alerts");
    let alert = |line: &str| {
        let alert: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let of = |value: &serde_json::Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let source = of(&alert["evidences"][0]["src_endpoint"]["ip"]);
        (of(&alert["metadata"]["tenant_uid"]), source, of(&alert["severity"]), of(&alert["confidence"]))
    };
    let mut found: Vec<_> = written.lines().map(alert).collect();
    found.sort();
    let expected = [
        ("blue", "10.77.1.11", "High", "98.2 %"),
        ("blue", "10.77.1.29", "Medium", "90.5 %"),
        // 90.5 % is below the lowest level of `red`.
        ("green", "10.77.1.31", "Medium", "95 %"),
    ];
    let expected = expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
    assert_eq!(found, expected);
}
