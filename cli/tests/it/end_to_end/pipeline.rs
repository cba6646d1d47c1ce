//! The pipeline under test: windows with late rows and dead letters beside a filter, all on one broker; and the filter's rows in files.
//! Dead letters are rows that cannot be read, rows from the future, and rows on which an expression fails.

use super::input::{DELAY_MS, FAILS, WINDOW_MS};
use super::oracle::PASSES;

/// Partitions of the topics that are written.
pub(crate) const N_OUT: i32 = 2;
pub(crate) const OUTPUTS: [(&str, i32); 4] = [("windows", N_OUT), ("passed", N_OUT), ("late", N_OUT), ("dead", N_OUT)];

/// Its SQL. The environment of the process that plans it says where the broker is, `DAVY_KAFKA`, and how long transactions may be
/// open, `TRANSACTION_MS`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// How the filter's rows are delivered.
    pub(crate) delivery: &'static str,
    pub(crate) window_ms: i64,
    /// A constant column that the query above the windows adds, different in each version of the script.
    pub(crate) version: Option<u64>,
    /// The formats of files that the filter's rows are also written to, each in a folder of its name; `csv.gz` is compressed.
    pub(crate) files: &'static [&'static str],
}

impl Default for Script {
    fn default() -> Self {
        Self { delivery: "exactly_once", window_ms: WINDOW_MS, version: None, files: &[] }
    }
}

impl Script {
    pub(crate) fn text(&self) -> String {
        let source = "connector = 'kafka', bootstrap_servers = '${env:DAVY_KAFKA}', topic = 'flows', type = 'source', \
                      format = 'csv', 'kafka.transaction.timeout.ms' = '${env:TRANSACTION_MS}'";
        let (delay, width) = (DELAY_MS / 1_000, self.window_ms / 1_000);
        let (declared, made) = match self.version {
            None => (String::new(), String::new()),
            Some(version) => (", version BIGINT".to_owned(), format!(", {version}")),
        };
        let mut script = String::from("SET pipeline = 'rig';\nSET exchange_partitions = '4';\n");
        script += &sink("windows", &format!("start TIMESTAMP, k TEXT, c BIGINT, s BIGINT{declared}"), "json");
        let delivered = format!("json', delivery = '{}", self.delivery);
        script += &sink("passed", "p INT, o BIGINT, ts TIMESTAMP, k TEXT, n BIGINT", &delivered);
        script += &sink("late", "ts TIMESTAMP, k TEXT, n BIGINT", "json");
        script += &sink("dead", "value BYTEA", "raw_string");
        script += &format!(
            "CREATE TABLE flows (ts TIMESTAMP, k TEXT, n BIGINT, WATERMARK FOR ts AS ts - INTERVAL '{delay} second') \
             WITH ({source}, bad_record = 'dead_letter', dead_letter_table = 'dead', late_table = 'late');\n\
             CREATE TABLE again (ts TIMESTAMP, k TEXT, n BIGINT, p INT METADATA FROM 'partition', \
             o BIGINT METADATA FROM 'offset') WITH ({source});\n\
             INSERT INTO windows SELECT w.start, k, c, s{made} FROM \
             (SELECT tumble(INTERVAL '{width} seconds') AS w, k, count(*) AS c, sum(n) AS s FROM flows \
             WHERE 1 / (n % {FAILS}) < 2 GROUP BY 1, 2);\n\
             INSERT INTO passed SELECT p, o, ts, k, n FROM again WHERE n % {PASSES} = 0;\n"
        );
        for (index, name) in self.files.iter().enumerate() {
            let (format, compression) = name.split_once('.').map_or((*name, "none"), |(format, _)| (format, "gzip"));
            script += &format!(
                "CREATE TABLE files_{index} {FILE_COLUMNS} WITH (connector = 'filesystem', path = '{name}', type = 'sink', \
                 format = '{format}', compression = '{compression}', rollover_rows = '100', rollover_interval = '2s', shared = 'true');\n\
                 INSERT INTO files_{index} SELECT p, o, ts, k, n FROM again WHERE n % {PASSES} = 0;\n"
            );
        }
        script
    }
}

/// The columns of files.
pub(crate) const FILE_COLUMNS: &str = "(p INT, o BIGINT, ts TIMESTAMP, k TEXT, n BIGINT)";

fn sink(name: &str, columns: &str, format: &str) -> String {
    format!(
        "CREATE TABLE {name} ({columns}) WITH (connector = 'kafka', bootstrap_servers = '${{env:DAVY_KAFKA}}', \
         topic = '{name}', type = 'sink', format = '{format}', 'kafka.transaction.timeout.ms' = '${{env:TRANSACTION_MS}}');\n"
    )
}
