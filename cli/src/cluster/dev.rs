//! `davy dev`: a cluster in one process, for writing and trying a pipeline.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::cluster::ClusterOptions;
use davy_coordinator::options::Options;
use davy_engine::{Error, Result};
use davy_proto::domain::TlsFiles;
use davy_worker::agent::{self, AgentOptions};
use tokio_util::sync::CancellationToken;

use super::args::DevArgs;
use super::coordinator::{serve, with_port};
use super::worker::{connectors, n_cores, slot_options};
use crate::output;
use crate::remote::submit_here;
use crate::settings::pipeline_name;
use crate::signals::listen;

/// How long last commits may take.
const GRACE: Duration = Duration::from_secs(20);

type Running = JoinHandle<Result<()>>;

/// Runs a script until a signal stops it.
pub(crate) fn run(args: &DevArgs) -> Result<ExitCode> {
    let name = pipeline_name(args.name.as_deref(), &args.script)?;
    let stop = listen()?.token;
    let addresses = Addresses { grpc: with_port(args.listen)?, http: with_port(args.http)? };
    let mut cluster = Cluster::start(args, &addresses, &stop)?;
    let submission = Submission::start(args, &name, addresses.grpc)?;
    // A part that ends early has an error to report: nothing may wait for it.
    wait_for_any([&stop, &cluster.ended, &submission.ended])?;
    let submitted = if submission.ended.is_cancelled() { join(submission.thread) } else { Ok(()) };
    if submitted.is_ok() && !stop.is_cancelled() && !cluster.ended.is_cancelled() {
        output::say(&format!("`davy describe {name}` and `davy tail {name}` show it; Ctrl-C stops it"));
        wait_for_any([&stop, &cluster.ended, &CancellationToken::new()])?;
    }
    cluster.end()?;
    submitted?;
    output::say("stopped; the next run resumes from the last commit");
    Ok(ExitCode::SUCCESS)
}

struct Addresses {
    grpc: SocketAddr,
    http: SocketAddr,
}

/// A coordinator and its workers, each on a thread.
struct Cluster {
    coordinator: Option<Running>,
    workers: Vec<Running>,
    stop_workers: CancellationToken,
    stop_coordinator: CancellationToken,
    /// Cancelled when any part has ended.
    ended: CancellationToken,
}

impl Cluster {
    fn start(args: &DevArgs, addresses: &Addresses, stop: &CancellationToken) -> Result<Self> {
        let (stop_workers, ended) = (stop.clone(), CancellationToken::new());
        let stop_coordinator = CancellationToken::new();
        let coordinator = Some(coordinator(args, addresses, stop_coordinator.clone(), ended.clone())?);
        let mut cluster = Self { coordinator, workers: Vec::new(), stop_workers, stop_coordinator, ended };
        for number in 1..=args.workers {
            cluster.workers.push(cluster.worker(args, number, addresses.grpc)?);
        }
        Ok(cluster)
    }

    fn worker(&self, args: &DevArgs, number: u32, coordinator: SocketAddr) -> Result<Running> {
        let name = format!("dev-{number}");
        let options = AgentOptions {
            coordinators: vec![format!("http://{coordinator}")],
            id: agent::unique_id(&name),
            name,
            slots: n_cores().div_ceil(args.workers),
            labels: [].into(),
            token_file: None,
            tls: TlsFiles::default(),
            http: None,
            grace: GRACE,
        };
        let slots = slot_options(&args.task, &args.machine)?;
        let stop = self.stop_workers.clone();
        spawn("worker", self.ended.clone(), move || agent::run(options, slots, stop))
    }

    /// Stops the workers first: they report their released tasks to the coordinator.
    fn end(&mut self) -> Result<()> {
        self.stop_workers.cancel();
        let workers: Vec<Result<()>> = self.workers.drain(..).map(join).collect();
        self.stop_coordinator.cancel();
        self.coordinator.take().map_or(Ok(()), join)?;
        workers.into_iter().collect()
    }
}

/// Starts a coordinator, and waits until it listens or has ended.
fn coordinator(
    args: &DevArgs,
    addresses: &Addresses,
    stop: CancellationToken,
    ended: CancellationToken,
) -> Result<Running> {
    let options = Options {
        listen: addresses.grpc,
        http_listen: addresses.http,
        tasks_per_stage: args.tasks,
        heartbeat_interval: Duration::from_millis(500),
        // No worker of an earlier coordinator can be running tasks.
        cluster: ClusterOptions { startup_grace_period: Duration::ZERO, ..ClusterOptions::default() },
        ..Options::default()
    };
    let connectors = connectors(&args.machine, false);
    let listening = CancellationToken::new();
    let listens = listening.clone();
    let any = ended.clone();
    let running = spawn("coordinator", ended, move || {
        let announce = move |_, _| {
            listens.cancel();
            Ok(())
        };
        serve(options, connectors, Box::new(MemoryCatalog::new()), stop, announce)
    })?;
    wait_for_any([&listening, &any, &CancellationToken::new()])?;
    Ok(running)
}

struct Submission {
    thread: Running,
    ended: CancellationToken,
}

impl Submission {
    fn start(args: &DevArgs, name: &str, coordinator: SocketAddr) -> Result<Self> {
        let (script, set, name) = (args.script.clone(), args.set.clone(), name.to_owned());
        let ended = CancellationToken::new();
        let submit = move || submit_here(coordinator, &script, &name, &set);
        Ok(Self { thread: spawn("submit", ended.clone(), submit)?, ended })
    }
}

/// Blocks until one of the tokens is cancelled.
fn wait_for_any([a, b, c]: [&CancellationToken; 3]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot wait for the cluster: {error}")))?;
    runtime.block_on(async {
        tokio::select! {
            () = a.cancelled() => {}
            () = b.cancelled() => {}
            () = c.cancelled() => {}
        }
    });
    Ok(())
}

/// `ended` is cancelled when `run` has returned or panicked.
fn spawn(name: &str, ended: CancellationToken, run: impl FnOnce() -> Result<()> + Send + 'static) -> Result<Running> {
    let spawned = Builder::new().name(name.to_owned()).spawn(move || {
        let _ended = ended.drop_guard();
        run()
    });
    spawned.map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))
}

fn join(running: Running) -> Result<()> {
    running.join().unwrap_or_else(|_| Err(Error::internal("a part of the cluster panicked")))
}
