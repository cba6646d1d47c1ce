//! Early results: of windows that are open, and equal to a batch over the rows so far; and final rows as without them.

mod crash;
mod prefix;
mod rig;
mod same;
mod spilled;

/// The table that all queries write to.
const SINK: &str = "out";

/// A query whose rows begin with the start and the end of their window, and whether they are final.
#[derive(Debug)]
struct Case {
    name: &'static str,
    query: &'static str,
    /// SQL for the oracle, where a clause means something per window.
    oracle: Option<&'static str>,
    /// Of windows of windows: how wide those below are, in milliseconds.
    inner_ms: Option<i64>,
    /// Windows of one key do not overlap.
    is_session: bool,
    /// Of sessions: the gap, in milliseconds.
    gap_ms: Option<i64>,
    /// Where sessions are cut, in milliseconds.
    max_session_ms: i64,
}

const fn case(name: &'static str, query: &'static str) -> Case {
    Case { name, query, oracle: None, inner_ms: None, is_session: false, gap_ms: None, max_session_ms: 20_000 }
}

const CASES: &[Case] = &[
    case(
        "tumble",
        "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
            SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS n FROM flows GROUP BY k, w)",
    ),
    case(
        "hop that divides",
        "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
            SELECT k, hop(INTERVAL '5 seconds', INTERVAL '20 seconds') AS w, sum(v) AS n FROM flows GROUP BY k, w)",
    ),
    case(
        "hop that does not divide",
        "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
            SELECT k, hop(INTERVAL '10 seconds', INTERVAL '25 seconds') AS w, count(DISTINCT v) AS n FROM flows
            GROUP BY k, w)",
    ),
    case(
        "sums of floats",
        "SELECT w.start, w.\"end\", w.is_final, k, cast(round(total * 1e6) AS BIGINT) FROM (
            SELECT k, tumble(INTERVAL '15 seconds') AS w, sum(v / 7.0) AS total FROM flows GROUP BY k, w)",
    ),
    case(
        "without keys",
        "SELECT w.start, w.\"end\", w.is_final, 'all', n FROM (
            SELECT tumble(INTERVAL '20 seconds') AS w, count(*) AS n FROM flows GROUP BY w)",
    ),
    Case {
        is_session: true,
        gap_ms: Some(4_000),
        ..case(
            "session",
            "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
                SELECT k, session(INTERVAL '4 seconds') AS w, count(*) AS n FROM flows GROUP BY k, w)",
        )
    },
    Case {
        gap_ms: Some(7_000),
        ..case(
            "session without keys that is cut",
            "SELECT w.start, w.\"end\", w.is_final, CASE WHEN w.is_cut THEN 'cut' ELSE 'all' END, n FROM (
                SELECT session(INTERVAL '7 seconds') AS w, count(*) AS n FROM flows GROUP BY w)",
        )
    },
    // Sessions of several keys with the same window: one that changes brings the others along.
    Case {
        gap_ms: Some(4_000),
        ..case(
            "sessions by their window",
            "SELECT w.start, w.\"end\", max(w.is_final), max(k), sum(n) FROM (
                SELECT k, session(INTERVAL '4 seconds') AS w, count(*) AS n FROM flows GROUP BY k, w) GROUP BY w",
        )
    },
    Case {
        inner_ms: Some(5_000),
        ..case(
            "windows of windows",
            "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
                SELECT k, tumble(INTERVAL '30 seconds') AS w, max(n) AS n FROM (
                    SELECT k, tumble(INTERVAL '5 seconds') AS inner, sum(v) AS n FROM flows GROUP BY k, inner)
                GROUP BY k, w)",
        )
    },
    case(
        "join of windows",
        "SELECT a.w.start, a.w.\"end\", a.w.is_final, a.k, a.n - coalesce(b.n, 0) FROM (
            SELECT k, tumble(INTERVAL '20 seconds') AS w, count(*) AS n FROM flows GROUP BY k, w) a
        LEFT JOIN (
            SELECT k, tumble(INTERVAL '20 seconds') AS w, count(*) AS n FROM flows WHERE 6 < v GROUP BY k, w) b
        ON a.w = b.w AND a.k = b.k",
    ),
    case(
        "having",
        "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
            SELECT k, tumble(INTERVAL '20 seconds') AS w, sum(v) AS n FROM flows GROUP BY k, w
            HAVING sum(v) BETWEEN 8 AND 20)",
    ),
    case(
        "two kinds of windows",
        "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
            SELECT k, tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM flows GROUP BY k, w
            UNION ALL
            SELECT k, hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS w, sum(v) AS n FROM flows GROUP BY k, w)",
    ),
    Case {
        oracle: Some(
            "SELECT start, stop, true, k, n FROM (
                SELECT w.start AS start, w.\"end\" AS stop, k, n,
                    row_number() OVER (PARTITION BY w ORDER BY n DESC, k) AS place
                FROM (SELECT k, tumble(INTERVAL '20 seconds') AS w, count(*) AS n FROM flows GROUP BY k, w))
            WHERE place <= 2",
        ),
        ..case(
            "top two by limit",
            "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
                SELECT k, tumble(INTERVAL '20 seconds') AS w, count(*) AS n FROM flows GROUP BY k, w)
            ORDER BY n DESC, k LIMIT 2",
        )
    },
    case(
        "top two by row number",
        "SELECT w.start, w.\"end\", w.is_final, k, n FROM (
            SELECT *, row_number() OVER (PARTITION BY w ORDER BY n DESC, k) AS place FROM (
                SELECT k, tumble(INTERVAL '20 seconds') AS w, count(*) AS n FROM flows GROUP BY k, w))
        WHERE place <= 2",
    ),
];

impl Case {
    /// The script; `source` is the connector of `flows` and its options, `sink` an option of `out`.
    fn script(&self, query: &str, source: &str, sink: &str) -> String {
        let max_session_ms = self.max_session_ms;
        format!(
            "SET max_session = '{max_session_ms} ms';
             CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
             WITH (connector = {source}, format = 'json');
             CREATE TABLE out (start TIMESTAMP, stop TIMESTAMP, is_final BOOLEAN, k TEXT, n BIGINT)
             WITH (connector = 'sink', format = 'json'{sink});
             INSERT INTO out {query};"
        )
    }

    fn text(&self) -> String {
        self.script(self.query, "'test'", ", emit_early = '7 seconds'")
    }

    /// With its windows in the task that reads the rows.
    fn text_in_one_task(&self) -> String {
        self.script(self.query, "'topic', max_future = 'off', partitioned_by = 'k'", ", emit_early = '7 seconds'")
    }

    /// Whether a window that starts here may be the later part of a session that is cut.
    fn may_be_later_part(&self, start_ms: i64) -> bool {
        self.gap_ms.is_some_and(|gap| start_ms.rem_euclid(self.max_session_ms) < gap)
    }

    fn oracle_text(&self) -> String {
        self.script(self.oracle.unwrap_or(self.query), "'test'", "")
    }
}

/// A row of the sink.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    start: String,
    stop: String,
    key: String,
    value: String,
    is_final: bool,
}

impl Row {
    fn of_line(line: &str) -> Self {
        let cells: Vec<&str> = line.split(" | ").collect();
        let [start, stop, is_final, key, value] = cells.as_slice() else { panic!("five columns, not `{line}`") };
        let owned = |cell: &&str| (**cell).to_owned();
        Self {
            start: owned(start),
            stop: owned(stop),
            key: owned(key),
            value: owned(value),
            is_final: *is_final == "true",
        }
    }

    fn window(&self) -> (String, String) {
        (self.start.clone(), self.stop.clone())
    }

    fn early(self) -> Self {
        Self { is_final: false, ..self }
    }
}
