//! CREATE FUNCTION and `davy model` as a person uses them: a real model, real shared libraries, the messages and exit codes.

use std::path::{Path, PathBuf};

use crate::run::{davy, folder, repository, text};

const TABLE: &str = "CREATE TABLE flows (ts TIMESTAMP, bytes_pp DOUBLE, gap_s DOUBLE, WATERMARK FOR ts)
WITH (connector = 'single_file', path = 'flows.csv', type = 'source', format = 'csv');\n";

const FLOWS: &str = "1970-01-01 00:00:01,100,10\n1970-01-01 00:00:02,1500,60\n1970-01-01 00:00:03,,1\n";

fn card() -> String {
    repository().join("engine/tests/models/tiny/card.toml").display().to_string()
}

/// The shared library beside the test's own executable.
fn plugin(name: &str) -> (PathBuf, String) {
    let executable = std::env::current_exe().expect("a path");
    let built = executable.parent().and_then(Path::parent).expect("the build folder");
    let library = built.join(format!("lib{name}.so"));
    assert!(library.exists(), "{} is not there; run `make test`", library.display());
    let sum = davy_forest::package::sha256(&std::fs::read(&library).expect("readable"));
    (library, sum)
}

#[test]
fn a_model_scores_rows_and_the_summary_counts_them() {
    let create = format!("{TABLE}CREATE FUNCTION mining_score USING MODEL '{}';\n", card());
    let script = create.clone() + "SELECT ts, mining_score(bytes_pp, gap_s) AS score FROM flows;";
    let other = create.replace("USING MODEL", "NAMED USING MODEL") + "SELECT ts FROM flows;";
    let folder = folder(&[("s.sql", &script), ("order.sql", &other), ("flows.csv", FLOWS)]);
    let output = davy(folder.path(), &["run", "s.sql", "-o", "csv"]);
    let (rows, said) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{said}");
    let scores: Vec<&str> = rows.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(scores, ["0.125", "1.0", ""], "{rows}");
    assert!(said.contains("mining_score: 3 rows in"), "{said}");
    assert!(said.contains("1 rows without a result"), "{said}");

    let explained = text(&davy(folder.path(), &["explain", "s.sql"]).stdout);
    assert!(explained.starts_with("function mining_score: model tiny 1.0.0 by native"), "{explained}");

    // Settings reach a function's options as they do a table's.
    let redirected = davy(folder.path(), &["validate", "s.sql", "--set", "mining_score.model=none.toml"]);
    assert!(text(&redirected.stderr).contains("none.toml"), "{}", text(&redirected.stderr));
    assert_ne!(redirected.status.code(), Some(0));
    let misspelt = davy(folder.path(), &["validate", "order.sql"]);
    assert_eq!(misspelt.status.code(), Some(2), "{}", text(&misspelt.stderr));
}

#[test]
fn both_backends_give_the_same_rows() {
    let script = |backend: &str| {
        format!(
            "{TABLE}CREATE FUNCTION f USING MODEL '{}' WITH (backend = '{backend}');
             SELECT ts, f(bytes_pp, gap_s) AS score, f_class(bytes_pp, gap_s) AS class FROM flows;",
            card()
        )
    };
    let (native, runtime) = (script("native"), script("onnxruntime"));
    let folder = folder(&[("native.sql", &native), ("runtime.sql", &runtime), ("flows.csv", FLOWS)]);
    let rows = |script: &str| {
        let output = davy(folder.path(), &["run", script, "-o", "csv", "--quiet"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(rows("native.sql"), rows("runtime.sql"));
}

#[test]
fn a_row_by_row_plug_in_runs_from_sql_when_its_folder_and_sum_are_right() {
    let (library, sum) = plugin("davy_rowwise");
    let name = library.file_name().and_then(|name| name.to_str()).expect("a name");
    let script = |with: &str| {
        format!(
            "{TABLE}CREATE FUNCTION per_packet(BIGINT, BIGINT) RETURNS DOUBLE USING LIBRARY '{name}' {with};
             SELECT ts, per_packet(CAST(bytes_pp AS BIGINT), CAST(gap_s AS BIGINT)) AS r FROM flows;"
        )
    };
    let right = script(&format!("WITH (sha256 = '{sum}')"));
    let folder = folder(&[
        ("s.sql", &right),
        ("unnamed.sql", &script("")),
        ("wrong.sql", &script("WITH (sha256 = '00')")),
        ("no_arguments.sql", &right.replace("(BIGINT, BIGINT) RETURNS", "() RETURNS")),
        ("no_types.sql", &right.replace("(BIGINT, BIGINT) RETURNS DOUBLE", "")),
        ("interval.sql", &right.replace("(BIGINT, BIGINT)", "(INTERVAL, BIGINT)")),
        ("on_error.sql", &right.replace("WITH (sha", "WITH (on_error = 'ignore', sha")),
        ("text.sql", &right.replace("CAST(gap_s AS BIGINT)", "'a'")),
        ("flows.csv", FLOWS),
    ]);
    let plugins = library.parent().and_then(Path::to_str).expect("a folder");
    let output = davy(folder.path(), &["run", "s.sql", "-o", "csv", "--plugin-dir", plugins]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rows = text(&output.stdout);
    let results: Vec<&str> = rows.lines().skip(1).filter_map(|line| line.split(',').nth(1)).collect();
    assert_eq!(results, ["10.0", "25.0", ""], "{rows}");

    let allowed = ["--plugin-dir", plugins];
    let cases: [(&str, &[&str], &str); 8] = [
        ("s.sql", &[], "no folder for plug-ins is allowed; allow its folder with --plugin-dir"),
        ("s.sql", &["--plugin-dir", "."], "does not exist in the folders for plug-ins"),
        ("unnamed.sql", &allowed, &sum),
        ("wrong.sql", &allowed, "it is another build or was tampered with"),
        ("no_arguments.sql", &allowed, "a library's function has at least one argument"),
        ("no_types.sql", &allowed, "a library's function needs its types"),
        ("interval.sql", &allowed, "INTERVAL cannot be passed to or from a library"),
        ("on_error.sql", &allowed, "option `on_error` cannot be `ignore`; expected 'null', 'fail'"),
    ];
    for (script, flags, expected) in cases {
        let arguments: Vec<&str> = ["validate", script].into_iter().chain(flags.iter().copied()).collect();
        let output = davy(folder.path(), &arguments);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{script}: {said}");
        assert!(said.contains(expected), "{script} should say {expected}: {said}");
    }
}

#[test]
fn a_plug_in_that_fails_costs_its_rows_or_its_pipeline() {
    let (library, sum) = plugin("davy_faulty");
    let name = library.file_name().and_then(|name| name.to_str()).expect("a name");
    let script = |fault: u32, on_error: &str| {
        // Short only where it has to run out: a busy machine may take its time for the others.
        let timeout = if fault == 7 { "300ms" } else { "60s" };
        format!(
            "{TABLE}CREATE FUNCTION g(DOUBLE, DOUBLE) RETURNS DOUBLE USING LIBRARY '{name}'
             WITH (sha256 = '{sum}', timeout = '{timeout}', on_error = '{on_error}');
             SELECT ts, g({fault}.0, bytes_pp) AS r FROM flows;"
        )
    };
    let plugins = library.parent().and_then(Path::to_str).expect("a folder");
    // Fault, policy, exit code, what is said. 0: none; 2: too short; 3: another type; 5: fails; 6: fails with a reason; 7: hangs.
    let cases = [
        (0, "null", 0, "g: 3 rows in"),
        (
            2,
            "null",
            0,
            "3 rows without a result; 1 calls failed, the first because: function `g`: its library returned 2 rows",
        ),
        (3, "null", 0, "3 rows without a result; 1 calls failed"),
        (5, "null", 0, "3 rows without a result; 1 calls failed"),
        (6, "fail", 1, "row 3 has"),
        (2, "fail", 1, "returned 2 rows for 3"),
        (7, "null", 1, "function `g`"),
        (1, "null", 1, "function `g`"),
    ];
    for (fault, on_error, code, expected) in cases {
        let folder = folder(&[("s.sql", &script(fault, on_error)), ("flows.csv", FLOWS)]);
        let output = davy(folder.path(), &["run", "s.sql", "-o", "csv", "--plugin-dir", plugins]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "fault {fault}: {said}");
        assert!(said.contains(expected), "fault {fault} should say {expected}: {said}");
    }
}

#[test]
fn models_are_shown_verified_measured_and_imported() {
    let json = r#"{"n_features": 2, "trees": [{"children_left": [1, -1, -1], "children_right": [2, -1, -1],
        "feature": [0, -2, -2], "threshold": [100.5, -2.0, -2.0], "value": [[2, 2], [2, 0], [0, 2]]}]}"#;
    let folder = folder(&[("forest.json", json), ("broken.json", "{")]);
    let import =
        ["model", "import", "forest.json", "--out", "made", "--name", "made", "--feature", "a:B", "--feature", "b"];
    let output = davy(folder.path(), &import);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let again = davy(folder.path(), &import);
    assert_eq!(again.status.code(), Some(2), "a package is never written over: {}", text(&again.stderr));
    let card = card();
    let cases: [(&[&str], i32, &str); 9] = [
        (&["model", "bench", &card, "--batch", "0"], 2, "is not a number of rows from 1 to 1000000"),
        (&["model", "verify", &card, "--rows", "99999999999"], 2, "is not a number of rows from 1 to 1000000"),
        (&["model", "info", "made/card.toml"], 0, "1 trees, 3 nodes, depth 1"),
        (&["model", "info", &card, "-o", "json"], 0, "\"positive\": \"miner\""),
        (&["model", "verify", "made/card.toml", "--rows", "500"], 0, "made 1.0.0: all agree"),
        (&["model", "bench", &card, "--batch", "16"], 0, "rows/s"),
        (&["model", "info", "none.toml"], 2, "none.toml"),
        (&["model", "import", "broken.json", "--out", "other"], 2, "broken.json"),
        (&["model", "import", "none.json", "--out", "other"], 2, "`none.json` cannot be read"),
    ];
    for (arguments, code, expected) in cases {
        let output = davy(folder.path(), arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?} should say {expected}: {said}");
    }
}

#[test]
fn drift_is_reported_per_feature_and_by_the_exit_code() {
    let script = format!("{TABLE}SELECT bytes_pp, gap_s FROM flows;");
    let folder = folder(&[("features.sql", &script), ("other.sql", &script.replace("SELECT bytes_pp,", "SELECT"))]);
    // The card says: half of the rows at 100 or below, a quarter to 1000, a quarter above.
    let flows = |values: [u32; 4]| {
        let row =
            |(second, value): (usize, u32)| format!("1970-01-01 00:{:02}:{:02},{value},1\n", second / 60, second % 60);
        (0..600).map(|second| row((second, values[second % 4]))).collect::<String>()
    };
    std::fs::write(folder.path().join("same.csv"), flows([50, 100, 500, 5000])).expect("written");
    std::fs::write(folder.path().join("moved.csv"), flows([5000; 4])).expect("written");
    let card = card();
    let again = ["--script", "features.sql", "--input", "moved.csv", "--reference", "moved.csv"];
    let since = ["--script", "features.sql", "--input", "moved.csv", "--reference", "same.csv"];
    std::fs::write(folder.path().join("empty.csv"), "").expect("written");
    let cases: [(&[&str], i32, &str); 8] = [
        (&["--script", "features.sql", "--input", "same.csv"], 0, "stable"),
        (&again, 0, "gap_s"),
        (&since, 1, "rows compared with same.csv"),
        (&["--script", "features.sql", "--input", "empty.csv"], 2, "the script gives no rows to compare"),
        (&["--script", "features.sql", "--input", "same.csv", "--reference", "empty.csv"], 2, "has no values of"),
        (&["--script", "features.sql", "--input", "moved.csv"], 1, "DRIFTED"),
        (&["--script", "other.sql", "--input", "same.csv"], 2, "the script gives no column `bytes_pp`"),
        (&["--input", "same.csv"], 2, "give one with --script"),
    ];
    for (flags, code, expected) in cases {
        let arguments: Vec<&str> = ["model", "drift", &card].into_iter().chain(flags.iter().copied()).collect();
        let output = davy(folder.path(), &arguments);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {said}");
        assert!(said.contains(expected), "{flags:?} should say {expected}: {said}");
    }
}
