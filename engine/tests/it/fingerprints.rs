//! What the fingerprint of stored state distinguishes, and what it does not; and that neither fingerprint changes by itself.
//!
//! `fingerprints.txt` has those of the random scripts; `UPDATE_GOLDEN=1` writes it anew. A change there means that this build refuses
//! the open windows of builds before it: say so in the changelog.

use crate::random::scripts::SCRIPTS;
use crate::support::World;

const COLUMNS: &str =
    "ts TIMESTAMP, k TEXT, v BIGINT, f DOUBLE, spare TEXT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds'";

fn script(columns: &str, query: &str) -> String {
    format!("CREATE TABLE flows ({columns}) WITH (connector = 'test', format = 'json');\n{query};")
}

/// The fingerprints of a script's first query: of the plan, and of its state.
fn fingerprints(script: &str) -> (u64, u64) {
    let pipeline = World::default().plan(script).unwrap_or_else(|error| panic!("{error}\n{script}"));
    (pipeline.dataflows[0].fingerprint, pipeline.dataflows[0].state_fingerprint)
}

fn state(columns: &str, query: &str) -> u64 {
    fingerprints(&script(columns, query)).1
}

const BASE: &str = "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY k, w";

#[test]
fn what_decides_what_state_means_changes_it() {
    let queries = [
        BASE,
        "SELECT k, tumble(INTERVAL '11 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, session(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(DISTINCT v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) FILTER (WHERE 0 < v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(f) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v + 1) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 8 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v <= 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows GROUP BY k, w",
        "SELECT spare, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY 1, 2",
        "SELECT lower(k), tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY 1, 2",
        "SELECT upper(k), tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY 1, 2",
        "SELECT k, v, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY k, v, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, first_value(v ORDER BY f) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, first_value(v ORDER BY f DESC) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, first_value(v ORDER BY v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, sum(v) AS n, max(v) AS m FROM flows WHERE v < 9 GROUP BY k, w",
        "CREATE VIEW x AS SELECT *, v + 1 AS z FROM flows; SELECT k, tumble(INTERVAL '10 seconds') AS w, count(z + 1) AS n FROM x WHERE v < 9 GROUP BY k, w",
        "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM (SELECT * FROM flows UNION ALL SELECT * FROM flows) u WHERE v < 9 GROUP BY k, w",
    ];
    let mut found: Vec<(u64, String)> = queries.map(|query| (state(COLUMNS, query), query.to_owned())).into();
    for columns in [
        "ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '6 seconds'",
        "ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS date_trunc('minute', ts)",
        "ts TIMESTAMP, te TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR te AS te - INTERVAL '5 seconds'",
        "ts TIMESTAMP, k TEXT, v INT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds'",
    ] {
        found.push((state(columns, BASE), columns.to_owned()));
    }
    found.sort();
    for pair in found.windows(2) {
        assert_ne!(pair[0].0, pair[1].0, "{}\n{}", pair[0].1, pair[1].1);
    }
}

#[test]
fn what_has_no_part_in_state_may_change() {
    let cases = [
        (
            COLUMNS,
            "SELECT k AS key, tumble(INTERVAL '10 seconds') AS window, count(v) AS many FROM flows WHERE v < 9 GROUP BY 1, 2",
        ),
        (
            COLUMNS,
            "SELECT upper(k), w.start, n / 2 FROM (SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY k, w) x WHERE 3 < n",
        ),
        (
            COLUMNS,
            "CREATE VIEW some AS SELECT ts, k AS who, v AS what, f * 2 AS twice FROM flows WHERE v < 9; SELECT who, tumble(INTERVAL '10 seconds') AS w, count(what) AS n FROM some GROUP BY who, w HAVING 1 < count(what)",
        ),
        (
            COLUMNS,
            "SET memory = '1GiB'; SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) AS n FROM flows WHERE v < 9 GROUP BY k, w",
        ),
        (
            COLUMNS,
            "CREATE VIEW more AS SELECT max(v) AS high, k, array_agg(v ORDER BY f) AS l, tumble(INTERVAL '10 seconds') AS w, \
             count(v) AS n, sum(f) FROM flows WHERE v < 9 GROUP BY k, w; SELECT k, w, n FROM more",
        ),
        ("new TEXT, ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds'", BASE),
        (
            "ts TIMESTAMP, k TEXT, v BIGINT, half DOUBLE GENERATED ALWAYS AS (v / 2), WATERMARK FOR ts AS ts - INTERVAL '5 seconds'",
            BASE,
        ),
    ];
    // The limit of sessions has no part in other windows, in windows of windows neither.
    let nested = "CREATE VIEW small AS SELECT k, tumble(INTERVAL '1 second') AS w, count(*) AS n FROM flows GROUP BY k, w; \
                  SELECT k, tumble(INTERVAL '1 minute') AS w, sum(n) AS n FROM small GROUP BY 1, 2";
    assert_eq!(state(COLUMNS, nested), state(COLUMNS, &format!("SET max_session = '1 hour'; {nested}")));
    let with_sink = |options: &str| {
        let text = script(
            COLUMNS,
            &format!(
                "CREATE TABLE out (k TEXT, n BIGINT) WITH (connector = 'sink', key = 'k'{options}); INSERT INTO out SELECT k, n FROM ({BASE})"
            ),
        );
        fingerprints(&text)
    };
    assert_eq!(with_sink(""), with_sink(", emit_early = '1 minute'"), "neither do early results");
    let expected = state(COLUMNS, BASE);
    for (columns, query) in cases {
        assert_eq!(state(columns, query), expected, "{columns}\n{query}");
    }
}

#[test]
fn the_plan_covers_which_data_is_read_and_not_how_long_a_split_may_be_silent() {
    let plan = |options: &str, query: &str| {
        let text =
            format!("CREATE TABLE flows ({COLUMNS}) WITH (connector = 'test', format = 'csv'{options});\n{query};");
        fingerprints(&text).0
    };
    let base = plan("", BASE);
    assert_ne!(base, plan(", 'csv.delimiter' = ';'", BASE));
    assert_ne!(
        base,
        plan(
            "",
            "SELECT k, tumble(INTERVAL '10 seconds') AS w, count(v) * 2 AS n FROM flows WHERE v < 9 GROUP BY k, w"
        )
    );
    assert_eq!(base, plan(", idle_timeout = '10 seconds'", BASE));
    // All tasks have the same limit, and it may be raised between two runs.
    assert_ne!(base, plan(", max_keys = '9'", BASE));
    let state = |options: &str| {
        fingerprints(&format!(
            "CREATE TABLE flows ({COLUMNS}) WITH (connector = 'test', format = 'csv'{options});\n{BASE};"
        ))
    };
    assert_eq!(state("").1, state(", max_keys = '9', overflow = 'drop_new'").1);
}

#[test]
fn a_view_of_views_that_double_is_described_in_no_time() {
    let mut text = format!("CREATE TABLE flows ({COLUMNS}) WITH (connector = 'test', format = 'json');\n");
    let mut last = "flows".to_owned();
    for number in 0..12 {
        text += &format!("CREATE VIEW v{number} AS SELECT ts, k, v + v AS v FROM {last};\n");
        last = format!("v{number}");
    }
    fingerprints(&format!("{text}SELECT k, tumble(INTERVAL '1 minute') AS w, sum(v) AS n FROM {last} GROUP BY k, w;"));
}

#[test]
fn fingerprints_are_those_of_the_builds_before() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/fingerprints.txt");
    let mut found = String::from("# plan, state, script\n");
    for script in SCRIPTS {
        let (plan, state) = fingerprints(&script.text());
        found += &format!("{plan:016x} {state:016x} {}\n", script.name);
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &found).expect("written");
    }
    let expected = std::fs::read_to_string(path).expect("the file is there");
    assert_eq!(found, expected, "UPDATE_GOLDEN=1 takes what was found");
}
