//! The queries that random streams are run through, as data.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use davy_engine::plan::{Dataflow, SinkPlan};

use crate::support::World;

/// The bound that the scripts' WATERMARK sets on disorder.
pub const BOUND_MS: i64 = 5_000;

const TABLES: &str = "
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
WITH (connector = 'test', format = 'json');
CREATE TABLE other (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
WITH (connector = 'test', format = 'json');
";

/// The same, with tables for what is late and what is bad; the bound is made of two parts.
const SIDE_TABLES: &str = "
CREATE TABLE late (ts TIMESTAMP, k TEXT, v BIGINT) WITH (connector = 'sink', format = 'json');
CREATE TABLE bad (reason TEXT, split TEXT, value TEXT) WITH (connector = 'sink', format = 'json');
CREATE TABLE flows (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '3 seconds')
WITH (connector = 'test', format = 'json', allowed_lateness = '2 seconds', late_table = 'late', dead_letter_table = 'bad');
CREATE TABLE other (ts TIMESTAMP, k TEXT, v BIGINT, WATERMARK FOR ts AS ts - INTERVAL '5 seconds')
WITH (connector = 'test', format = 'json');
";

/// A query, and the SQL that the oracle runs where a clause means something per window.
#[derive(Debug)]
pub struct Script {
    pub name: &'static str,
    pub query: &'static str,
    pub oracle: Option<&'static str>,
}

const fn script(name: &'static str, query: &'static str) -> Script {
    Script { name, query, oracle: None }
}

pub const SCRIPTS: &[Script] = &[
    script(
        "tumble",
        "SELECT k, tumble(INTERVAL '10 seconds') AS window, count(*) AS n, count(v) AS there, sum(v) AS total, min(v) AS low,
         max(v) AS high FROM flows GROUP BY k, window",
    ),
    script(
        "hop that divides",
        "SELECT k, hop(INTERVAL '5 seconds', INTERVAL '15 seconds') AS window, count(*) AS n, sum(v) AS total
         FROM flows GROUP BY k, window",
    ),
    script(
        "aggregates that nothing reads",
        "SELECT k, window, n FROM (
            SELECT k, hop(INTERVAL '5 seconds', INTERVAL '15 seconds') AS window, count(DISTINCT v) AS n_values, max(v) AS high,
                count(*) AS n, array_agg(v ORDER BY v) AS all_values, sum(v) AS total FROM flows GROUP BY k, window)
         WHERE 1 < high",
    ),
    script(
        "hop that does not divide",
        "SELECT hop(INTERVAL '10 seconds', INTERVAL '25 seconds') AS window, k, count(*) AS n, min(v) AS low
         FROM flows GROUP BY 1, 2",
    ),
    script(
        "hop with many panes",
        "SELECT k, hop(INTERVAL '4 seconds', INTERVAL '14 seconds') AS window, count(*) AS n, sum(v) AS total
         FROM flows GROUP BY k, window",
    ),
    script(
        "session",
        "SELECT k, session(INTERVAL '4 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window",
    ),
    script(
        "session that is cut",
        "SET max_session = '6 seconds';
         SELECT k, session(INTERVAL '4 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window",
    ),
    script(
        "session without keys that is cut",
        "SET max_session = '10 seconds';
         SELECT session(INTERVAL '5 seconds') AS window, count(*) AS n, max(k) AS k FROM flows GROUP BY window",
    ),
    script(
        "session without keys",
        "SELECT session(INTERVAL '2 seconds') AS window, count(*) AS n, max(k) AS k FROM flows GROUP BY window",
    ),
    script(
        "windows of windows",
        "CREATE VIEW small AS
         SELECT k, tumble(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM flows GROUP BY k, window;
         SELECT k, tumble(INTERVAL '30 seconds') AS window, max(n) AS most, sum(total) AS total, count(*) AS n
         FROM small GROUP BY 1, 2",
    ),
    script(
        "three layers of windows",
        "CREATE VIEW a AS SELECT k, tumble(INTERVAL '5 seconds') AS window, sum(v) AS v FROM flows GROUP BY k, window;
         CREATE VIEW b AS
         SELECT k, hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS window, sum(v) AS v FROM a WHERE v <> 3 GROUP BY 1, 2;
         SELECT session(INTERVAL '15 seconds') AS window, sum(v) AS v, count(*) AS n FROM b GROUP BY 1",
    ),
    script(
        "join of windows",
        "CREATE VIEW a AS SELECT k, tumble(INTERVAL '10 seconds') AS window, count(*) AS n FROM flows GROUP BY k, window;
         CREATE VIEW b AS SELECT k, tumble(INTERVAL '10 seconds') AS window, sum(v) AS total FROM other GROUP BY k, window;
         SELECT a.k, a.window, a.n, b.total FROM a JOIN b ON a.k = b.k AND a.window = b.window",
    ),
    script(
        "left join of a table with itself",
        "CREATE VIEW a AS SELECT k, hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS window, count(*) AS n
         FROM flows GROUP BY k, window;
         CREATE VIEW b AS SELECT hop(INTERVAL '5 seconds', INTERVAL '10 seconds') AS window, sum(v) AS total
         FROM flows WHERE 10 < v GROUP BY window;
         SELECT a.k, a.window, a.n, b.total FROM a LEFT JOIN b ON a.window = b.window",
    ),
    script(
        "top two by row number",
        "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window ORDER BY n DESC, k NULLS FIRST) AS rank FROM (
         SELECT k, tumble(INTERVAL '10 seconds') AS window, count(*) AS n FROM flows GROUP BY k, window) w) p WHERE rank <= 2",
    ),
    Script {
        name: "top two by limit",
        query: "SELECT window, k, n FROM (SELECT k, hop(INTERVAL '5 seconds', INTERVAL '15 seconds') AS window, count(*) AS n
                FROM flows GROUP BY k, window) w ORDER BY n DESC, k NULLS FIRST LIMIT 2",
        oracle: Some(
            "SELECT window, k, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window ORDER BY n DESC, k NULLS FIRST) AS rank
             FROM (SELECT k, hop(INTERVAL '5 seconds', INTERVAL '15 seconds') AS window, count(*) AS n FROM flows
             GROUP BY k, window) w) p WHERE rank <= 2",
        ),
    },
    script(
        "statistics",
        "SELECT k, hop(INTERVAL '10 seconds', INTERVAL '20 seconds') AS window, count(DISTINCT v) AS values, avg(v) AS mean,
         round(stddev(v), 6) AS spread, median(v) AS middle, count(DISTINCT k) AS keys FROM flows GROUP BY k, window",
    ),
    script(
        "statistics of sessions",
        "SELECT k, session(INTERVAL '3 seconds') AS window, count(DISTINCT v) AS values, avg(v) AS mean,
         round(var_pop(v), 6) AS spread, median(v) AS middle, bool_or(v < 0) AS below FROM flows GROUP BY k, window",
    ),
    script(
        "global aggregate",
        "SELECT tumble(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total, count(*) FILTER (WHERE v < 0) AS below,
         first_value(v ORDER BY v) AS low, last_value(k ORDER BY k) AS k FROM flows GROUP BY window",
    ),
    script("stateless", "SELECT k, v * 2 AS twice, ts, coalesce(k, 'none') AS name FROM flows WHERE v <> 3 OR k = ''"),
    script(
        "union of two sources",
        "SELECT k, tumble(INTERVAL '10 seconds') AS window, count(*) AS n, sum(v) AS total FROM (
         SELECT ts, k, v FROM flows WHERE v <> 3 UNION ALL SELECT ts, k, -v FROM other) u GROUP BY k, window",
    ),
    script("stateless union", "SELECT k, v FROM flows UNION ALL SELECT upper(k), v + 1 FROM other WHERE 0 < v"),
    script(
        "two queries",
        "SELECT k, count(*) AS n, tumble(INTERVAL '10 seconds') AS window FROM flows GROUP BY k, window HAVING 1 < count(*);
         SELECT DISTINCT window, n % 2 AS odd FROM (
         SELECT k, session(INTERVAL '4 seconds') AS window, count(*) AS n FROM flows GROUP BY k, window) w",
    ),
    script(
        "keys of several columns",
        "SELECT k, v, v % 2 = 0 AS even, tumble(INTERVAL '20 seconds') AS window, count(*) AS n FROM flows
         GROUP BY k, v, v % 2 = 0, window",
    ),
];

impl Script {
    pub fn text(&self) -> String {
        format!("{TABLES}{};", self.query)
    }

    pub fn text_with_sides(&self) -> String {
        format!("{SIDE_TABLES}{};", self.query)
    }

    pub fn oracle_text(&self) -> String {
        format!("{TABLES}{};", self.oracle.unwrap_or(self.query))
    }
}

pub fn by_name(name: &str) -> &'static Script {
    SCRIPTS.iter().find(|script| script.name == name).unwrap_or_else(|| panic!("no script `{name}`"))
}

/// A planned script, to be run many times.
#[derive(Debug)]
pub struct Planned {
    pub text: String,
    pub dataflows: Vec<Arc<Dataflow>>,
    pub sinks: HashMap<Arc<str>, SinkPlan>,
    pub memory_bytes: usize,
}

/// Plans a text, once.
pub fn planned(text: &str) -> Arc<Planned> {
    static KNOWN: Mutex<Option<HashMap<String, Arc<Planned>>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(found) = known.get(text) {
        return Arc::clone(found);
    }
    let pipeline = World::default().plan(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let made = Arc::new(Planned {
        text: text.to_owned(),
        dataflows: pipeline.dataflows.into_iter().map(Arc::new).collect(),
        sinks: pipeline.sinks.into_iter().map(|sink| (Arc::clone(&sink.name), sink)).collect(),
        memory_bytes: pipeline.memory_bytes,
    });
    known.insert(text.to_owned(), Arc::clone(&made));
    made
}
