//! The rig: a broker, input, coordinators and workers, a reader that watches, and the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::commands::{Client, Task};
use super::node::{Coordinator, N_SEATS, PATIENCE, Setup, Worker};
use super::plan::{Fault, Plan};
use crate::end_to_end::alone;
use crate::end_to_end::broker::Broker;
use crate::end_to_end::files;
use crate::end_to_end::input::N_PARTITIONS;
use crate::end_to_end::oracle::{actual, expected};
use crate::end_to_end::pipeline::{N_OUT, OUTPUTS, Script};
use crate::end_to_end::process::Davy;
use crate::end_to_end::producer::{Input, InputProducer};
use crate::end_to_end::reader::{Watcher, contents, differences, held_open};
use davy_testkit::wait::{now, until};

/// How long after the last fault nothing may wait any more.
const CATCH_UP: Duration = Duration::from_secs(15);
/// What SIGTERM leaves for last commits.
const GRACE: Duration = Duration::from_secs(20);
pub(super) const NAME: &str = "rig";

pub(super) struct Play {
    pub(super) test: &'static str,
    pub(super) seed: u64,
    pub(super) plan: Plan,
    pub(super) n_workers: usize,
    pub(super) rows_per_second: u64,
    pub(super) script: Script,
}

/// A cluster that runs one pipeline.
pub(super) struct Rig {
    // Dropped in this order: no process outlives its broker.
    pub(super) workers: BTreeMap<usize, Worker>,
    pub(super) seats: [Option<Coordinator>; N_SEATS],
    pub(super) input: InputProducer,
    pub(super) watcher: Watcher,
    pub(super) setup: Setup,
    pub(super) random: ChaCha8Rng,
    n_workers_started: usize,
    n_coordinators_started: usize,
    /// The greatest epoch of each task so far.
    epochs: BTreeMap<String, u64>,
    /// Of the pipeline's script, which faults may replace.
    pub(super) script: Script,
    pub(super) broker: Broker,
    folder: tempfile::TempDir,
}

/// Says how to replay, also when a check panics.
struct Replay<'a> {
    play: &'a Play,
    done: Vec<&'a Fault>,
    begun: Instant,
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Play { test, seed, .. } = self.play;
            eprintln!("after {:?}, in the last of {} faults: {:?}", now() - self.begun, self.done.len(), self.done);
            eprintln!("replay: SEED={seed} cargo test --workspace --test it -- --include-ignored --exact {test}");
        }
    }
}

/// Injects the faults; panics when the cluster does not recover, or a row is wrong.
pub(super) fn play(play: &Play) {
    let wrong = attempt(play);
    assert!(wrong.is_empty(), "{}: SEED={}: {}", play.test, play.seed, wrong.join("\n"));
}

/// Injects the faults; panics when the cluster does not recover, and returns what is wrong with the rows.
pub(super) fn attempt(play: &Play) -> Vec<String> {
    let _alone = alone();
    let mut replay = Replay { play, done: Vec::new(), begun: now() };
    let mut rig = Rig::new(play.seed, play.rows_per_second, play.n_workers, play.script);
    for fault in &play.plan.0 {
        replay.done.push(fault);
        let begun = now();
        rig.inject(fault);
        println!("{fault:?}: {:.1} s", (now() - begun).as_secs_f64());
    }
    let (n_rows, wrong) = rig.finish();
    let Play { test, seed, plan, .. } = play;
    let (n, took) = (plan.0.len(), (now() - replay.begun).as_secs());
    let verdict = if wrong.is_empty() { "every row once" } else { "WRONG ROWS" };
    println!("{test}, seed {seed}: {n} faults ({plan}), {n_rows} rows, {took} s: {verdict}");
    wrong
}

impl Rig {
    /// A pipeline that runs on one coordinator and some workers.
    pub(super) fn new(seed: u64, rows_per_second: u64, n_workers: usize, script: Script) -> Self {
        let mut rig = Self::idle(seed, rows_per_second);
        rig.script = script;
        rig.scale(n_workers);
        rig.submit();
        rig.await_running();
        rig.watcher.await_progress(PATIENCE);
        rig
    }

    /// A coordinator that has received no request.
    pub(super) fn idle(seed: u64, rows_per_second: u64) -> Self {
        let broker = Broker::start("cluster", 1);
        let folder = tempfile::tempdir().expect("a folder");
        broker.make_topics(&[&[("flows", N_PARTITIONS)], &OUTPUTS[..]].concat());
        let servers = broker.servers.clone();
        let setup = Setup { folder: folder.path().to_owned(), servers: servers.clone() };
        let input = InputProducer::start(Input { servers, topic: "flows".to_owned(), seed, rows_per_second });
        let watcher = Watcher::start(&broker.servers, &OUTPUTS);
        let mut rig = Self {
            workers: BTreeMap::new(),
            seats: [None, None],
            input,
            watcher,
            setup,
            random: ChaCha8Rng::seed_from_u64(seed),
            n_workers_started: 0,
            n_coordinators_started: 0,
            epochs: BTreeMap::new(),
            script: Script::default(),
            broker,
            folder,
        };
        rig.start_coordinator(0);
        until("a coordinator leads", PATIENCE, || rig.client().tasks());
        rig
    }

    /// Two for each stage: the source of the windows, the windows, the filter, and each format of files.
    pub(super) fn n_tasks(&self) -> usize {
        6 + 2 * self.script.files.len()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn client(&self) -> Client {
        let url = |seat: &Coordinator| format!("http://127.0.0.1:{}", seat.ports.grpc);
        Client { folder: self.folder().to_owned(), coordinators: self.seats.iter().flatten().map(url).collect() }
    }

    pub(super) fn write_script(&self) {
        std::fs::write(self.folder().join("pipeline.sql"), self.script.text()).expect("written");
    }

    fn submit(&self) {
        self.write_script();
        self.client().must(&["submit", "pipeline.sql", "--name", NAME, "--wait"]);
    }

    pub(super) fn start_coordinator(&mut self, seat: usize) {
        self.n_coordinators_started += 1;
        let coordinator = self.setup.coordinator(self.n_coordinators_started);
        let port = coordinator.ports.grpc;
        self.seats[seat] = Some(coordinator);
        self.workers.values().for_each(|worker| worker.to_coordinators[seat].lead_to(Some(port)));
    }

    pub(super) fn kill_coordinator(&mut self, seat: usize) {
        self.seats[seat].take().expect("it runs").process.kill();
        self.workers.values().for_each(|worker| worker.to_coordinators[seat].lead_to(None));
    }

    pub(super) fn start_worker(&mut self) {
        let worker = self.new_worker(None);
        self.workers.insert(self.n_workers_started, worker);
    }

    /// A worker; `crash` names the point where it kills itself.
    pub(super) fn new_worker(&mut self, crash: Option<&str>) -> Worker {
        let ports = self.seats.each_ref().map(|seat| seat.as_ref().map(|coordinator| coordinator.ports.grpc));
        self.n_workers_started += 1;
        self.setup.worker(self.n_workers_started, ports, crash)
    }

    /// Starts workers, or stops some with SIGTERM, until there are `n`.
    pub(super) fn scale(&mut self, n: usize) {
        while self.workers.len() < n {
            self.start_worker();
        }
        let n_leaving = self.workers.len() - n;
        let leaving: Vec<usize> =
            (0..n_leaving).map(|_| self.any_worker()).collect::<BTreeSet<_>>().into_iter().collect();
        let mut leaving: Vec<Worker> =
            leaving.iter().map(|number| self.workers.remove(number).expect("it runs")).collect();
        leaving.iter().for_each(|worker| worker.process.signal("TERM"));
        leaving.iter_mut().for_each(|worker| leaves(&mut worker.process));
        if n < self.workers.len() {
            // Chance has named one twice.
            self.scale(n);
        }
    }

    /// A random worker.
    pub(super) fn any_worker(&mut self) -> usize {
        let numbers: Vec<usize> = self.workers.keys().copied().collect();
        numbers[self.random.next_u32() as usize % numbers.len()]
    }

    /// A random worker that has tasks.
    pub(super) fn busy_worker(&mut self) -> usize {
        loop {
            let number = self.any_worker();
            let name = self.workers[&number].name.clone();
            if self.await_running().values().any(|task| task.worker == name) {
                return number;
            }
        }
    }

    /// Waits until every task runs on a worker that is there.
    pub(super) fn await_running(&mut self) -> BTreeMap<String, Task> {
        let names: BTreeSet<String> = self.workers.values().map(|worker| worker.name.clone()).collect();
        self.await_running_on(&names)
    }

    /// Waits until every task runs on one of these workers.
    pub(super) fn await_running_on(&mut self, names: &BTreeSet<String>) -> BTreeMap<String, Task> {
        let client = self.client();
        let begun = now();
        loop {
            let seen = client.tasks();
            if let Some(tasks) = &seen {
                self.note_epochs(tasks);
                let is_running = |task: &Task| task.state == "running" && names.contains(&task.worker);
                if tasks.len() == self.n_tasks() && tasks.values().all(is_running) {
                    return tasks.clone();
                }
            }
            self.check_alive();
            assert!(now() - begun < PATIENCE, "waited {PATIENCE:?} in vain: every task runs on {names:?}: {seen:#?}");
        }
    }

    /// Epochs of a task only grow. A coordinator that has just begun knows of no owner until workers have called.
    fn note_epochs(&mut self, tasks: &BTreeMap<String, Task>) {
        for (id, task) in tasks.iter().filter(|(_, task)| !task.worker.is_empty()) {
            let greatest = self.epochs.entry(id.clone()).or_default();
            assert!(*greatest <= task.epoch, "task {id} goes back from epoch {greatest} to {}", task.epoch);
            *greatest = task.epoch;
        }
    }

    /// A process that was not stopped still runs.
    pub(super) fn check_alive(&mut self) {
        let workers = self.workers.values_mut().map(|worker| &mut worker.process);
        let coordinators = self.seats.iter_mut().flatten().map(|coordinator| &mut coordinator.process);
        for process in workers.chain(coordinators) {
            if let Some(status) = process.ended() {
                panic!("ended by itself, {status}: {}", process.said());
            }
        }
    }

    /// Rows are committed, twice, so that none of them is from before.
    pub(super) fn goes_on(&self) {
        self.watcher.await_progress(PATIENCE);
        self.watcher.await_progress(PATIENCE);
    }

    /// Waits until the results of all input are committed.
    pub(super) fn catch_up(&mut self) {
        let client = self.client();
        self.await_running();
        self.input.finish();
        until("nothing waits", CATCH_UP, || (self.setup.lag()? == 0).then_some(()));
        let is_idle = |tasks: BTreeMap<String, Task>| tasks.values().all(|task| task.lag == 0).then_some(());
        until("tasks say so", CATCH_UP, || is_idle(client.tasks()?));
    }

    /// Stops everything and compares: how many rows the input had, and which results are wrong.
    fn finish(&mut self) -> (u64, Vec<String>) {
        self.catch_up();
        self.client().must(&["stop", NAME, "--wait"]);
        self.end();
        self.judge()
    }

    /// Sends SIGTERM to every process, and waits until all have ended.
    pub(super) fn end(&mut self) {
        self.scale(0);
        self.seats.iter_mut().flatten().for_each(|coordinator| {
            coordinator.process.signal("TERM");
            leaves(&mut coordinator.process);
        });
        assert_eq!(leaked(self.folder()), [""; 0], "processes that still run");
    }

    /// Compares the results with the expected ones: how many rows the input had, and what is wrong.
    pub(super) fn judge(&mut self) -> (u64, Vec<String>) {
        assert_eq!(held_open(&self.broker), [""; 0], "open transactions");
        let expected = expected(&self.broker, "flows");
        let mut wrong = actual(&self.broker, N_OUT).differences(&expected);
        let contents = contents(&self.broker, &OUTPUTS);
        let n_messages = contents.values().map(|messages| messages.len() as u64).sum();
        let seen = self.watcher.finish(n_messages);
        wrong.extend(differences(&seen, &contents));
        wrong.extend(files::differences(self.folder(), self.script.files, &expected.passed));
        assert!(
            !expected.windows.is_empty() && !expected.late.is_empty() && !expected.dead.is_empty(),
            "a test of nothing"
        );
        (expected.n_rows, wrong)
    }
}

/// A process that got SIGTERM ends in time, with exit code 0.
fn leaves(process: &mut Davy) {
    let status = process.await_end("it stops after SIGTERM", GRACE);
    assert_eq!(status.code(), Some(0), "after SIGTERM: {}", process.said());
}

/// Processes that still work in the folder.
fn leaked(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").expect("processes").flatten();
    let works_here =
        |entry: &std::fs::DirEntry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder);
    entries.filter(works_here).map(|entry| entry.path().display().to_string()).collect()
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.folder.disable_cleanup(true);
            eprintln!(
                "{} rows written,  {} messages read, {} workers and {} coordinators started; their logs are in {}",
                self.input.n_rows(),
                self.watcher.n_seen(),
                self.n_workers_started,
                self.n_coordinators_started,
                self.folder().display()
            );
        }
    }
}
