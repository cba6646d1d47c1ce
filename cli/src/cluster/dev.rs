//! `davy dev`: a cluster in one process, for writing and trying a pipeline.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use davy_coordinator::catalog::memory::MemoryCatalog;
use davy_coordinator::cluster::ClusterOptions;
use davy_coordinator::options::Options;
use davy_engine::{Error, Result};
use davy_worker::agent::{self, AgentOptions, TlsFiles};
use davy_worker::slots::SlotOptions;

use super::args::DevArgs;
use super::coordinator::{serve, with_port};
use super::worker::{connectors, n_cores, slot_options};
use crate::output;
use crate::remote::submit_here;
use crate::settings::pipeline_name;
use crate::signals::listen;

/// How often the stop flag and the threads are read.
const GLANCE: Duration = Duration::from_millis(50);
/// How long last commits may take.
const GRACE: Duration = Duration::from_secs(20);

type Running = JoinHandle<Result<()>>;

/// Runs a script until a signal stops it.
pub(crate) fn run(args: &DevArgs) -> Result<ExitCode> {
    let name = pipeline_name(args.name.as_deref(), &args.script)?;
    let signals = listen()?;
    let (listen, http) = (with_port(args.listen)?, with_port(args.http)?);
    let stop_coordinator = Arc::new(AtomicBool::new(false));
    let (say, listens) = sync_channel(1);
    let mut running = vec![coordinator(args, (listen, http), &stop_coordinator, say)?];
    if listens.recv().is_err() {
        tracing::debug!("the coordinator has ended, and says why below");
    }
    for number in 1..=args.workers {
        running.push(worker(args, number, listen, &signals.stop)?);
    }
    // A part that ends early has an error to report: nothing may wait for it.
    let submitted = spawn("submit", {
        let (script, set, name) = (args.script.clone(), args.set.clone(), name.clone());
        move || submit_here(listen, &script, &name, &set)
    })?;
    let mut submitted = Some(submitted);
    while !signals.stop.load(Ordering::Relaxed) && !running.iter().any(JoinHandle::is_finished) {
        if submitted.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(submitted) = submitted.take()
        {
            match join(submitted) {
                Ok(()) => {
                    output::say(&format!("`davy describe {name}` and `davy tail {name}` show it; Ctrl-C stops it"));
                }
                Err(error) => {
                    end(running, &signals.stop, &stop_coordinator)?;
                    return Err(error);
                }
            }
        }
        std::thread::park_timeout(GLANCE);
    }
    end(running, &signals.stop, &stop_coordinator)?;
    output::say("stopped; run again, it goes on from its last commit");
    Ok(ExitCode::SUCCESS)
}

/// Stops the workers first: they report their released tasks to the coordinator.
fn end(mut running: Vec<Running>, stop: &AtomicBool, stop_coordinator: &AtomicBool) -> Result<()> {
    stop.store(true, Ordering::Relaxed);
    let coordinator = running.remove(0);
    let workers: Vec<Result<()>> = running.into_iter().map(join).collect();
    stop_coordinator.store(true, Ordering::Relaxed);
    join(coordinator)?;
    workers.into_iter().collect()
}

fn coordinator(
    args: &DevArgs,
    (listen, http): (SocketAddr, SocketAddr),
    stop: &Arc<AtomicBool>,
    say: SyncSender<()>,
) -> Result<Running> {
    let options = Options {
        listen,
        http_listen: http,
        tasks_per_stage: args.tasks,
        heartbeat_interval: Duration::from_millis(500),
        // No worker of an earlier coordinator can be running tasks.
        cluster: ClusterOptions { settle: Duration::ZERO, ..ClusterOptions::default() },
        ..Options::default()
    };
    let connectors = connectors(&args.machine);
    let stop = Arc::clone(stop);
    let listening =
        move |_, _| say.send(()).map_err(|_| Error::internal("the coordinator listens after its start was given up"));
    spawn("coordinator", move || serve(options, connectors, Box::new(MemoryCatalog::new()), &stop, listening))
}

fn worker(args: &DevArgs, number: u32, coordinator: SocketAddr, stop: &Arc<AtomicBool>) -> Result<Running> {
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
    let slots: SlotOptions = slot_options(&args.commit, &args.machine);
    let stop = Arc::clone(stop);
    spawn("worker", move || agent::run(options, slots, stop))
}

fn spawn(name: &str, run: impl FnOnce() -> Result<()> + Send + 'static) -> Result<Running> {
    let spawned = Builder::new().name(name.to_owned()).spawn(run);
    spawned.map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))
}

fn join(running: Running) -> Result<()> {
    running.join().unwrap_or_else(|_| Err(Error::internal("a part of the cluster panicked")))
}
