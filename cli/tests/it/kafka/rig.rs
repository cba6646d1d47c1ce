//! The rig: a broker, input, a pipeline that is started again after each death, a reader that watches, and the verdict.

use std::time::{Duration, Instant};

use super::plan::{Injection, Plan};
use super::process::Setup;
use crate::end_to_end::alone;
use crate::end_to_end::broker::Broker;
use crate::end_to_end::files;
use crate::end_to_end::input::N_PARTITIONS;
use crate::end_to_end::oracle::{actual, expected};
use crate::end_to_end::pipeline::{N_OUT, OUTPUTS, Script};
use crate::end_to_end::process::Davy;
use crate::end_to_end::producer::{Input, InputProducer};
use crate::end_to_end::reader::{Watcher, contents, differences, held_open};
use davy_testkit::wait::{let_pass, now, until, within};

/// Two tasks each: the source of the windows, the windows, the filter, and each format of files.
const fn n_tasks(files: &[&str]) -> usize {
    6 + 2 * files.len()
}

/// How long a transaction may be open: so short that a frozen process outlives its own,
const SHORT: Duration = Duration::from_secs(2);
/// and longer than the broker needs to come back. Kafka 4 skips the markers of partitions that have no leader ("these partitions are
/// likely deleted already"), and the transaction stays open there for ever. No partition of a single broker has a leader when it
/// starts, so no transaction may run out then, or have been decided before.
const LONG: Duration = Duration::from_secs(30);
/// A single broker that is paused for longer loses its session, and its partitions their leaders.
const SESSION: Duration = Duration::from_secs(3);
/// What SIGTERM leaves for the last commit.
const GRACE: Duration = Duration::from_secs(5);
/// How long after the last fault nothing may wait any more.
const CATCH_UP: Duration = Duration::from_secs(15);
/// Nothing that moves on takes longer than this, also on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Play {
    pub(super) test: &'static str,
    pub(super) seed: u64,
    pub(super) plan: Plan,
    /// How the filter's rows are delivered.
    pub(super) delivery: &'static str,
    pub(super) rows_per_second: u64,
    /// The input has at least so many rows.
    pub(super) n_rows: u64,
    /// Formats in which the filter's rows are also written to files.
    pub(super) files: &'static [&'static str],
    /// Nodes of the cluster: one, or three that replicate everything.
    pub(super) n_nodes: usize,
}

/// What came of it.
pub(super) struct Played {
    /// Rows of the input,
    pub(super) n_rows: u64,
    /// and flows that its two queries can read in them.
    pub(super) n_readable: u64,
    /// Flows read by processes that were not killed.
    pub(super) n_read: u64,
    /// What is wrong with the rows that came out.
    pub(super) wrong: Vec<String>,
}

/// Says how to replay, also when a check panics.
struct Replay<'a> {
    play: &'a Play,
    done: Vec<&'a Injection>,
    begun: Instant,
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Play { test, seed, .. } = self.play;
            eprintln!("after {:?} and {} faults: {:?}", now() - self.begun, self.done.len(), self.done);
            eprintln!("replay: SEED={seed} cargo test --workspace --test it -- --include-ignored --exact {test}");
        }
    }
}

struct Rig {
    // Dropped in this order: no process outlives its broker.
    davy: Option<Davy>,
    input: InputProducer,
    watcher: Watcher,
    setup: Setup,
    files: &'static [&'static str],
    n_started: usize,
    broker: Broker,
    folder: tempfile::TempDir,
}

/// Injects the faults and returns what happened; panics when a row is wrong.
pub(super) fn play(play: &Play) -> Played {
    let played = attempt(play);
    assert!(played.wrong.is_empty(), "{}: SEED={}: {}", play.test, play.seed, played.wrong.join("\n"));
    played
}

/// Injects the faults; panics when the pipeline does not recover, and returns what is wrong with the rows.
pub(super) fn attempt(play: &Play) -> Played {
    let _alone = alone();
    let mut replay = Replay { play, done: Vec::new(), begun: now() };
    let mut rig = Rig::new(play);
    for fault in &play.plan.0 {
        replay.done.push(fault);
        rig.inject(fault);
    }
    if rig.input.n_rows() < play.n_rows {
        let missing = (play.n_rows - rig.input.n_rows()) / play.rows_per_second.max(1);
        rig.keep_running();
        until("all rows are written", 2 * PATIENCE + Duration::from_secs(2 * missing), || {
            (play.n_rows <= rig.input.n_rows()).then_some(())
        });
    }
    let played = rig.finish();
    let (n, took) = (play.plan.0.len(), (now() - replay.begun).as_secs());
    let Play { test, seed, plan, .. } = play;
    let verdict = if played.wrong.is_empty() { "every row once" } else { "WRONG ROWS" };
    println!(
        "{test}, seed {seed}: {n} faults ({plan}), {} rows, {} starts, {took} s: {verdict}",
        played.n_rows, rig.n_started
    );
    played
}

impl Rig {
    fn new(play: &Play) -> Self {
        let broker = Broker::start("chaos", play.n_nodes);
        let folder = tempfile::tempdir().expect("a folder");
        broker.make_topics(&[&[("flows", N_PARTITIONS)], &OUTPUTS[..]].concat());
        let setup = Setup { folder: folder.path().to_owned(), servers: broker.servers.clone() };
        std::fs::write(
            setup.script(),
            Script { delivery: play.delivery, files: play.files, ..Script::default() }.text(),
        )
        .expect("written");
        let input = InputProducer::start(Input {
            servers: broker.servers.clone(),
            topic: "flows".to_owned(),
            seed: play.seed,
            rows_per_second: play.rows_per_second,
        });
        let watcher = Watcher::start(&broker.servers, &OUTPUTS);
        Self { davy: None, input, watcher, setup, files: play.files, n_started: 0, broker, folder }
    }

    fn start(&mut self) -> Davy {
        self.start_with(SHORT, None)
    }

    fn start_with(&mut self, transaction: Duration, crash: Option<&str>) -> Davy {
        self.n_started += 1;
        self.setup.start(self.n_started, transaction, crash)
    }

    /// Ends what runs, if anything does.
    fn kill(&mut self) {
        if let Some(mut davy) = self.davy.take() {
            davy.kill();
        }
    }

    /// Ends what runs, and starts one that will die by itself.
    fn start_doomed(&mut self, crash: &str) -> Davy {
        self.kill();
        self.start_with(SHORT, Some(crash))
    }

    /// One that runs: the one that does, or a new one.
    fn running(&mut self) -> Davy {
        let mut davy = self.davy.take().unwrap_or_else(|| self.start());
        davy.await_running(n_tasks(self.files));
        davy
    }

    fn keep_running(&mut self) {
        self.davy = Some(self.running());
    }

    fn inject(&mut self, fault: &Injection) {
        match fault {
            Injection::Point(point, n) => {
                let crash = format!("{point}:{n}");
                self.start_doomed(&crash).await_crash(&crash);
            }
            Injection::Kill(after) => {
                let mut davy = self.davy.take().unwrap_or_else(|| self.start());
                if let Some(status) = within(*after, || davy.ended()) {
                    panic!("ended before it was killed, {status}: {}", davy.said());
                }
                davy.kill();
            }
            Injection::Terminate => {
                let davy = self.running();
                terminate(davy);
            }
            Injection::Freeze(duration) => {
                let davy = self.running();
                davy.signal("STOP");
                let_pass(*duration);
                davy.signal("CONT");
                // Its transaction may be gone, but it is still the only one.
                self.watcher.await_progress(PATIENCE);
                self.davy = Some(davy);
                self.keep_running();
            }
            Injection::Zombie(duration) => self.zombie(*duration),
            Injection::Second => {
                let older = self.running();
                let newer = self.start();
                assert_eq!(self.survivor([older, newer]), 1, "the newer one stays");
            }
            Injection::Twins => {
                self.kill();
                let pair = [self.start(), self.start()];
                self.survivor(pair);
            }
            Injection::BrokerKill if 1 < self.broker.n_nodes => {
                self.kill();
                self.davy = Some(self.start_with(LONG, None));
                self.keep_running();
                let node = self.broker.kill();
                self.goes_on();
                self.broker.start_again(&node);
                self.goes_on();
                self.kill();
            }
            Injection::BrokerKill => {
                self.kill();
                self.davy = Some(self.start_with(LONG, None));
                let davy = self.running();
                davy.signal("STOP");
                let broker = &self.broker;
                until("markers are written", PATIENCE, || (!broker.has_prepared_transactions()).then_some(()));
                let node = self.broker.kill();
                davy.signal("CONT");
                self.davy = Some(davy);
                self.broker.start_again(&node);
                self.goes_on();
                self.kill();
            }
            Injection::BrokerPause(duration) => {
                self.keep_running();
                let is_single = self.broker.n_nodes == 1;
                self.broker.pause(if is_single { SESSION.min(*duration) } else { *duration });
                self.goes_on();
            }
        }
    }

    /// What was frozen must notice that it was replaced, and end.
    fn zombie(&mut self, duration: Duration) {
        let mut older = self.running();
        older.signal("STOP");
        let_pass(duration);
        let mut newer = self.start();
        newer.await_running(n_tasks(self.files));
        self.watcher.await_progress(PATIENCE);
        older.signal("CONT");
        let status = older.await_end("a zombie ends", PATIENCE);
        is_fenced(&older, status.code());
        self.davy = Some(newer);
        self.goes_on();
    }

    /// Exactly one of two stays; returns which.
    fn survivor(&mut self, mut pair: [Davy; 2]) -> usize {
        let (ended, status) =
            until("one of two ends", PATIENCE, || (0..2).find_map(|index| Some((index, pair[index].ended()?))));
        is_fenced(&pair[ended], status.code());
        let [older, newer] = pair;
        self.davy = Some(if ended == 0 { newer } else { older });
        self.goes_on();
        1 - ended
    }

    /// The one that runs still does, and commits.
    fn goes_on(&mut self) {
        self.keep_running();
        self.watcher.await_progress(PATIENCE);
        self.watcher.await_progress(PATIENCE);
        self.keep_running();
    }

    /// Comes to an end, and judges.
    fn finish(&mut self) -> Played {
        self.keep_running();
        self.input.finish();
        let setup = &self.setup;
        until("nothing waits", CATCH_UP, || (setup.lag() == Some(0)).then_some(()));
        terminate(self.davy.take().expect("it runs"));
        assert_eq!(self.setup.leaked(), [""; 0], "processes that still run");
        assert_eq!(held_open(&self.broker), [""; 0], "open transactions");
        let expected = expected(&self.broker, "flows");
        let mut wrong = actual(&self.broker, N_OUT).differences(&expected);
        wrong.extend(files::differences(self.folder.path(), self.files, &expected.passed));
        let contents = contents(&self.broker, &OUTPUTS);
        let n_messages = contents.values().map(|messages| messages.len() as u64).sum();
        let seen = self.watcher.finish(n_messages);
        wrong.extend(differences(&seen, &contents));
        assert!(
            !expected.windows.is_empty() && !expected.late.is_empty() && !expected.dead.is_empty(),
            "a test of nothing"
        );
        Played { n_rows: expected.n_rows, n_readable: expected.n_read, n_read: self.setup.n_read(), wrong }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!(
                "{} rows written,  {} messages read, {} starts; logs of all of them are in {}",
                self.input.n_rows(),
                self.watcher.n_seen(),
                self.n_started,
                self.folder.path().display()
            );
            if let Some(davy) = &self.davy {
                eprintln!("the one that runs said: {}", davy.said());
            }
        }
    }
}

fn terminate(mut davy: Davy) {
    davy.signal("TERM");
    let status = davy.await_end("it stops after SIGTERM", GRACE);
    assert_eq!(status.code(), Some(0), "after SIGTERM: {}", davy.said());
}

fn is_fenced(davy: &Davy, code: Option<i32>) {
    let said = davy.said();
    assert!(code == Some(1) && said.contains("has a newer owner"), "ended with {code:?}, {:?}: {said}", davy.log());
}
