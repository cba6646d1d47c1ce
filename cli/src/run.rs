//! `davy run`: a script from its first row to its last.

use std::collections::HashSet;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use davy_engine::metrics::Metrics;
use davy_engine::plan::{Pipeline, SinkPlan};
use davy_engine::{Error, Result};
use davy_worker::host::{self, Ending, HostOptions};
use davy_worker::http::HttpOptions;
use davy_worker::runs::{self, Runs};

use crate::args::{HttpArgs, OutputFormat, RunArgs};
use crate::cluster::worker::read_token;
use crate::output::{self, Drawn};
use crate::progress::{Progress, now, summarize, summarize_function};
use crate::script::{plan_text, read_script};
use crate::settings::{host_options, output as output_format, read_file};
use crate::signals::{INTERRUPTED, TERMINATED, listen};

/// How often progress is drawn.
const TICK: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &RunArgs) -> Result<ExitCode> {
    run_text(args, &read_script(&args.script.script)?)
}

/// Runs a script with this text; the arguments say what it is called.
pub(crate) fn run_text(args: &RunArgs, text: &str) -> Result<ExitCode> {
    let planned = Planned::new(args, text)?;
    let signals = listen()?;
    let runs = serve_runs(&args.http)?;
    planned.export(&runs)?;
    let (metrics, functions) = (Arc::clone(&planned.metrics), planned.pipeline.functions.clone());
    let progress = Progress::start(Arc::clone(&metrics), args.quiet);
    let (begun, bar) = (now(), &progress);
    let watcher = std::thread::current();
    let stop = Arc::clone(&signals.stop);
    let running = std::thread::scope(|scope| {
        let host = std::thread::Builder::new().name("host".into()).spawn_scoped(scope, move || {
            let ending = planned.run(stop);
            // Rows on the terminal and the bar would write over each other: the bar goes first.
            bar.finish();
            watcher.unpark();
            ending
        });
        let host = host.map_err(|error| Error::Unavailable(format!("cannot start a thread: {error}")))?;
        while !host.is_finished() {
            progress.update();
            std::thread::park_timeout(TICK);
        }
        host.join().unwrap_or_else(|_| Err(Error::internal("the host panicked")))
    });
    progress.finish();
    let ending = running?;
    if !args.quiet {
        summarize(&metrics, begun);
        functions.iter().for_each(|function| summarize_function(function));
    }
    let is_terminated = signals.terminated.load(Ordering::Relaxed);
    let code = if is_terminated { TERMINATED } else { INTERRUPTED };
    match ending {
        Ending::Complete => Ok(ExitCode::SUCCESS),
        Ending::Stopped => {
            output::say("interrupted; what was committed is written");
            Ok(ExitCode::from(code))
        }
        Ending::Released => {
            output::say("stopped; run again, it goes on from its last commit");
            Ok(if is_terminated { ExitCode::SUCCESS } else { ExitCode::from(code) })
        }
    }
}

/// A pipeline that is ready to run in this process.
pub(crate) struct Planned {
    pub(crate) pipeline: Pipeline,
    pub(crate) metrics: Arc<Metrics>,
    options: HostOptions,
    format: OutputFormat,
    over_kafka: HashSet<Arc<str>>,
}

impl Planned {
    pub(crate) fn new(args: &RunArgs, text: &str) -> Result<Self> {
        let file = read_file(args.script.input.config.as_deref())?;
        let pipeline = plan_text(text, &args.script, &file)?;
        Ok(Self {
            options: host_options(args, &file)?,
            format: output_format(args, &file),
            over_kafka: host::tables_over_kafka(&pipeline)?,
            metrics: Arc::default(),
            pipeline,
        })
    }

    /// Exports its metrics, from its begin on.
    pub(crate) fn export(&self, runs: &Runs) -> Result<()> {
        let Pipeline { functions, lookups, .. } = &self.pipeline;
        runs.begin(self.name(), Arc::clone(&self.metrics), functions, lookups)
    }

    /// What it is called on the broker.
    pub(crate) fn name(&self) -> &str {
        self.pipeline.name.as_deref().unwrap_or(&self.options.name)
    }

    /// Runs it until its input ends or `stop` becomes true.
    pub(crate) fn run(self, stop: Arc<AtomicBool>) -> Result<Ending> {
        let Self { pipeline, metrics, options, format, over_kafka } = self;
        let open = move |plan: &SinkPlan| {
            let drawn = if over_kafka.contains(&plan.name) { Drawn::AtCommits } else { Drawn::AtTheEnd };
            output::results(plan, format, drawn)
        };
        host::run(pipeline, open, options, metrics, stop)
    }
}

/// What this process exports, served where the arguments say.
pub(crate) fn serve_runs(args: &HttpArgs) -> Result<Arc<Runs>> {
    let runs = Arc::new(Runs::new()?);
    if let Some(address) = args.http.on() {
        let token = args.http_token_file.as_deref().map(read_token).transpose()?;
        runs::serve_runs(HttpOptions { address, token }, Arc::clone(&runs))?;
    }
    Ok(runs)
}
