//! `davy miner-test`: plays a recorded session with miners into the topic that a pipeline reads, and says what the pipeline found and when.
//!
//! No miner runs and no pool is called: the flows were recorded in a laboratory, and their labels are known.

mod args;
mod report;
mod session;
mod verdict;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use davy_engine::{Error, Result};
use davy_worker::topic::{Cluster, Tail, Writer};
use flate2::read::MultiGzDecoder;

pub(crate) use self::args::{EXAMPLES, MinerTestArgs};
use self::report::{Found, Report};
use self::session::Session;
use crate::args::OutputFormat;
use crate::output;
use crate::progress::now;
use crate::signals::{INTERRUPTED, Signals, listen};

const FLOWS: &[u8] = include_bytes!("../../../models/capture/lab.csv.gz");
const LABELS: &str = include_str!("../../../models/capture/labels.csv");
/// How long one look for verdicts takes.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &MinerTestArgs) -> Result<ExitCode> {
    let session = read(args)?;
    let cluster = Cluster::new(&args.broker, &args.kafka_properties)?;
    // From here on: what is there already is of others.
    let mut test = Test {
        session: &session,
        tail: cluster.tail(&args.verdicts)?,
        writer: cluster.writer(&args.flows)?,
        speed: args.speed,
        threshold: args.threshold,
        begun: now(),
        found: Found::new(),
    };
    let signals = listen()?;
    output::say(&test.announcement());
    test.play(&signals)?;
    test.wait(args.patience, &signals)?;
    if signals.stop.load(Ordering::Relaxed) {
        output::say("interrupted");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let report = Report::new(&session, &test.found);
    print(&report, args.output)?;
    output::say(&report.summary());
    match report.failure(args.min_found) {
        None => Ok(ExitCode::SUCCESS),
        Some(why) => Err(Error::while_running(Error::invalid(format!("the test has failed: {why}")))),
    }
}

fn read(args: &MinerTestArgs) -> Result<Session> {
    let (Some(flows), Some(labels)) = (&args.session, &args.labels) else {
        return Session::parse(&unpacked(FLOWS)?, LABELS);
    };
    let of = |path: &Path| {
        let bytes = std::fs::read(path).map_err(|error| Error::invalid(error.to_string()));
        bytes.and_then(|bytes| unpacked(&bytes)).map_err(|error| error.context(&format!("`{}`", path.display())))
    };
    Session::parse(&of(flows)?, &of(labels)?)
}

/// Text, plain or compressed by gzip.
fn unpacked(bytes: &[u8]) -> Result<String> {
    let mut text = String::new();
    let read = if bytes.starts_with(b"\x1f\x8b") {
        MultiGzDecoder::new(bytes).read_to_string(&mut text)
    } else {
        { bytes }.read_to_string(&mut text)
    };
    read.map_err(|error| Error::invalid(format!("it is no text, plain or compressed by gzip: {error}")))?;
    Ok(text)
}

struct Test<'a> {
    session: &'a Session,
    tail: Tail,
    writer: Writer,
    speed: f64,
    threshold: f64,
    begun: Instant,
    found: Found,
}

impl Test<'_> {
    fn announcement(&self) -> String {
        let miners = self.session.labels.values().filter(|label| label.is_miner).count();
        let took = humantime::format_duration(Duration::from_secs(self.length().as_secs()));
        let n_flows = self.session.records.len();
        format!(
            "plays {n_flows} flows with {miners} miners among {} conversations; this takes {took}",
            self.session.labels.len()
        )
    }

    /// How long playing takes.
    fn length(&self) -> Duration {
        self.since_first(self.session.end())
    }

    /// When a record that was received at `received` is played.
    fn since_first(&self, received: i64) -> Duration {
        let first = self.session.records.first().map_or(0, |record| record.received);
        Duration::from_nanos((received - first).unsigned_abs()).div_f64(self.speed)
    }

    /// Writes all records, each when its time has come, and looks for verdicts meanwhile.
    fn play(&mut self, signals: &Signals) -> Result<()> {
        let session = self.session;
        // As recorded, each flow is sent when it would be. Faster than that, all of them are of the past: a flow from the future
        // would close the windows of others.
        let first = session.records.first().map_or(0, |record| record.received);
        let by = since_1970() - if 1.0 < self.speed { session.end() } else { first };
        for record in &session.records {
            let due = self.since_first(record.received);
            while self.elapsed() < due && !signals.stop.load(Ordering::Relaxed) {
                let wait = due.saturating_sub(self.elapsed()).min(LOOK);
                self.look(wait)?;
            }
            if signals.stop.load(Ordering::Relaxed) {
                break;
            }
            self.writer.send(record.shifted(by).as_bytes(), record.ended_ms(by))?;
        }
        self.writer.flush()
    }

    /// Looks for verdicts until all miners have one.
    fn wait(&mut self, patience: Duration, signals: &Signals) -> Result<()> {
        let end = self.elapsed() + patience;
        while self.elapsed() < end && !signals.stop.load(Ordering::Relaxed) {
            if Report::new(self.session, &self.found).has_found_all() {
                break;
            }
            self.look(LOOK)?;
        }
        Ok(())
    }

    fn look(&mut self, wait: Duration) -> Result<()> {
        let rows = self.tail.next(wait)?;
        let elapsed = self.elapsed();
        for conversation in rows.iter().flat_map(|row| verdict::conversations(&row.value, self.threshold)) {
            self.found.entry(conversation).or_insert(elapsed);
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "flows are played in real time")]
    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Now, in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "played flows are of now")]
fn since_1970() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn print(report: &Report, format: OutputFormat) -> Result<()> {
    let after = |row: &report::Row| row.after.map(|after| format!("{:.1}", after.as_secs_f64())).unwrap_or_default();
    let header = ["client", "server", "port", "kind", "outcome", "after_s"];
    let cells = |row: &report::Row| {
        let session::Conversation { client, server, port } = &row.conversation;
        vec![client.clone(), server.clone(), port.to_string(), row.kind.clone(), row.outcome.to_owned(), after(row)]
    };
    let rows: Vec<Vec<String>> = report.rows.iter().map(cells).collect();
    match format {
        OutputFormat::Table => output::print(&output::draw(&header.map(str::to_owned), &rows)),
        OutputFormat::Csv => {
            let lines: Vec<String> = rows.iter().map(|row| row.join(",")).collect();
            output::print(&format!("{}\n{}\n", header.join(","), lines.join("\n")))
        }
        OutputFormat::Json => {
            let object = |row: &report::Row| {
                let session::Conversation { client, server, port } = &row.conversation;
                let after_s = row.after.map(|after| after.as_secs_f64());
                let object = serde_json::json!({
                    "client": client, "server": server, "port": port, "kind": row.kind, "outcome": row.outcome, "after_s": after_s,
                });
                format!("{object}\n")
            };
            output::print(&report.rows.iter().map(object).collect::<String>())
        }
    }
}
