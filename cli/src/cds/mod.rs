//! `davy cds`: takes the arguments of the Cryptomining Detection System and runs pipelines/cds.sql with them.
//!
//! There is no second engine: `--print-sql` prints the script that runs, and `davy run` of it does the same.

mod args;
mod script;
mod tenant;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use davy_engine::{Error, Result};

pub(crate) use self::args::{CdsArgs, EXAMPLES};
pub(crate) use self::words::with_long_words;
use crate::args::{InputArgs, RunArgs, ScriptArgs};
use crate::{model, output, run, signals};

/// What errors call the script: it is that file, line by line.
const SCRIPT: &str = "pipelines/cds.sql";

pub(crate) fn run(args: CdsArgs) -> Result<ExitCode> {
    if args.consume == args.produce {
        return Err(Error::invalid(format!("`{}` cannot be read and written: it would never end", args.consume))
            .hint("give -c and -p different topics"));
    }
    let partition = match (&args.tenantservice, &args.tenantid) {
        (Some(service), Some(tenant)) => match tenant::partition(service, tenant, &signals::listen()?)? {
            Some(partition) => Some(partition),
            None => return Ok(ExitCode::SUCCESS),
        },
        _ => None,
    };
    let text = script::fill(&values(&args, partition)?);
    if args.print_sql {
        output::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    run::run_text(&run_args(args), &text)
}

fn values(args: &CdsArgs, partition: Option<u32>) -> Result<script::Values<'_>> {
    let threshold = match args.threshold {
        Some(threshold) => threshold,
        None => model::threshold(&args.model)?,
    };
    Ok(script::Values {
        name: script::name(args, partition)?,
        partition,
        broker: &args.broker,
        consume: &args.consume,
        produce: &args.produce,
        from: &args.from,
        dead_letter_topic: args.dead_letter_topic.as_deref(),
        model: &args.model,
        threshold,
        key: if args.compat_key { script::Key::Record } else { script::Key::Flow },
    })
}

fn run_args(args: CdsArgs) -> RunArgs {
    let CdsArgs { set, config, commit_interval, commit_rows, tasks, quiet, .. } = args;
    let input = InputArgs { input: None, set, onnxruntime: args.onnxruntime, plugin_dirs: Vec::new(), config };
    RunArgs {
        script: ScriptArgs { script: PathBuf::from(SCRIPT), input },
        output: None,
        commit_interval,
        commit_rows,
        spill_dir: None,
        tasks,
        name: None,
        quiet,
    }
}
