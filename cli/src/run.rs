//! `davy run`: a script from its first row to its last.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use davy_engine::metrics::Metrics;
use davy_engine::plan::SinkPlan;
use davy_engine::{Error, Result};
use davy_worker::host::{self, Ending};

use crate::args::RunArgs;
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
    let file = read_file(args.script.input.config.as_deref())?;
    let pipeline = plan_text(text, &args.script, &file)?;
    let options = host_options(args, &file)?;
    let format = output_format(args, &file);
    let signals = listen()?;
    let stop = Arc::clone(&signals.stop);
    let metrics = Arc::new(Metrics::default());
    let functions = pipeline.functions.clone();
    let over_kafka = host::tables_over_kafka(&pipeline)?;
    let progress = Progress::start(Arc::clone(&metrics), args.quiet);
    let begun = now();
    let watcher = std::thread::current();
    let (counted, bar) = (Arc::clone(&metrics), &progress);
    let running = std::thread::scope(|scope| {
        let open = move |plan: &SinkPlan| {
            let drawn = if over_kafka.contains(&plan.name) { Drawn::AtCommits } else { Drawn::AtTheEnd };
            output::results(plan, format, drawn)
        };
        let host = std::thread::Builder::new().name("host".into()).spawn_scoped(scope, move || {
            let ending = host::run(pipeline, open, options, counted, stop);
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
