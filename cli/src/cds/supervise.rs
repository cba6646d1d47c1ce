//! Runs a pipeline per tenant in one process, each with its own partition, threshold and rate.
//!
//! A tenant whose pipeline fails does not stop the others: it is tried again. Only when all tenants have failed does the process end. A
//! pipeline is named by its partition, so a tenant may move between processes and continues at its last commit.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_worker::host::Ending;
use davy_worker::runs::Runs;

use super::args::CdsArgs;
use super::tenant::{Service, wait};
use super::tenants::{Claims, Tenant};
use super::{run_args, script, values};
use crate::output;
use crate::progress::{now, summarize};
use crate::run::Planned;
use crate::signals::{INTERRUPTED, Signals};

/// How often a stop is looked for.
const TICK: Duration = Duration::from_millis(100);

/// What the threads of all tenants share.
struct Shared<'a> {
    args: &'a CdsArgs,
    service: &'a Service,
    runs: &'a Runs,
    /// Set by a signal, and when all tenants have failed.
    stop: &'a Arc<AtomicBool>,
    claims: Claims,
    n_tenants: usize,
    /// Why tenants do not run, by id.
    failed: Mutex<BTreeMap<String, Error>>,
}

/// How a tenant's pipeline ended without a failure.
enum Ended {
    Stopped,
    /// The tenant has another partition now.
    Moved,
}

/// Runs until a signal stops the process, or until no tenant can run.
pub(super) fn run(args: &CdsArgs, tenants: &[Tenant], service: &Service, signals: &Signals) -> Result<ExitCode> {
    let runs = crate::run::serve_runs(&args.http)?;
    let shared = Shared {
        args,
        service,
        runs: &runs,
        stop: &signals.stop,
        claims: Claims::default(),
        n_tenants: tenants.len(),
        failed: Mutex::default(),
    };
    let started: std::io::Result<()> = std::thread::scope(|scope| {
        let shared = &shared;
        for tenant in tenants {
            let thread = std::thread::Builder::new().name(format!("tenant {}", tenant.id));
            if let Err(error) = thread.spawn_scoped(scope, move || shared.serve(tenant)) {
                shared.stop.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    });
    started.map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
    let failed = std::mem::take(&mut *shared.failed.lock().unwrap_or_else(PoisonError::into_inner));
    if let Some((_, error)) = failed.into_iter().next().filter(|_| !signals.token.is_cancelled()) {
        return Err(error);
    }
    output::say("stopped; run again, it goes on from its last commit");
    let is_terminated = signals.terminated.load(Ordering::Relaxed);
    Ok(if is_terminated { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) })
}

impl Shared<'_> {
    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Attempts of one tenant, until the process stops.
    fn serve(&self, tenant: &Tenant) {
        while !self.is_stopping() {
            match self.attempt(tenant) {
                Ok(Ended::Moved) => {}
                Ok(Ended::Stopped) => return,
                Err(error) => {
                    self.fail(tenant, error);
                    wait(self.args.tenants.tenant_refresh, self.stop);
                }
            }
        }
    }

    fn attempt(&self, tenant: &Tenant) -> Result<Ended> {
        let Some(partition) = self.service.await_partition(&tenant.id, self.stop)? else { return Ok(Ended::Stopped) };
        let _claim = self.claims.take(partition, &tenant.id)?;
        let text = script::fill(&values(self.args, Some(tenant), Some(partition))?);
        let planned = Planned::new(&run_args(self.args), &text)?;
        let name = planned.name().to_owned();
        planned.export(self.runs)?;
        self.runs.remove(&unnamed(tenant));
        tracing::info!(tenant = tenant.id, partition, pipeline = name, "running");
        let ended = self.watch(tenant, partition, planned);
        self.runs.remove(&name);
        ended
    }

    /// Runs a tenant's pipeline until the process stops, the pipeline fails, or the tenant has another partition.
    fn watch(&self, tenant: &Tenant, partition: u32, planned: Planned) -> Result<Ended> {
        let (stop, metrics, begun) = (Arc::<AtomicBool>::default(), Arc::clone(&planned.metrics), now());
        let mut is_moved = false;
        let ending = std::thread::scope(|scope| {
            let stopped = Arc::clone(&stop);
            let host = std::thread::Builder::new().name("host".to_owned());
            let host = host.spawn_scoped(scope, move || planned.run(stopped));
            let host = host.map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
            let mut waited = Duration::ZERO;
            while !host.is_finished() {
                std::thread::park_timeout(TICK);
                waited += TICK;
                if 0 < metrics.commits.get() {
                    self.forget_failure(tenant);
                }
                if !is_moved && !self.is_stopping() && self.args.tenants.tenant_refresh <= waited {
                    waited = Duration::ZERO;
                    is_moved = self.has_moved(tenant, partition);
                }
                if is_moved || self.is_stopping() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            host.join().unwrap_or_else(|_| Err(Error::internal("the host panicked")))
        });
        if !self.args.quiet {
            output::say(&format!("tenant {}, partition {partition}:", tenant.id));
            summarize(&metrics, begun);
        }
        match ending? {
            _ if is_moved => Ok(Ended::Moved),
            Ending::Released | Ending::Stopped => Ok(Ended::Stopped),
            Ending::Complete => Err(Error::internal("a pipeline over a topic has ended")),
        }
    }

    /// Whether the service names another partition now. While it does not answer, the tenant keeps the one it has.
    fn has_moved(&self, tenant: &Tenant, partition: u32) -> bool {
        match self.service.partition(&tenant.id) {
            Ok(found) if found == partition => false,
            Ok(found) => {
                tracing::warn!(tenant = tenant.id, from = partition, to = found, "the tenant has another partition");
                true
            }
            Err(error) => {
                tracing::warn!(tenant = tenant.id, partition, %error, "keeps its partition");
                false
            }
        }
    }

    fn fail(&self, tenant: &Tenant, error: Error) {
        self.runs.fail(&unnamed(tenant), &error);
        tracing::error!(tenant = tenant.id, %error, "does not run, and is tried again at the next call of the tenant service");
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.insert(tenant.id.clone(), error);
        if failed.len() == self.n_tenants {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn forget_failure(&self, tenant: &Tenant) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).remove(&tenant.id);
    }
}

/// What a tenant's pipeline is called while its partition is not known.
fn unnamed(tenant: &Tenant) -> String {
    format!("tenant {}", tenant.id)
}
