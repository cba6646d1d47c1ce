//! `davy cds`: takes the arguments of the Cryptomining Detection System and runs pipelines/cds.sql with them.
//!
//! There is no second engine: `--print-sql` prints the script that runs, and `davy run` of it does the same.

mod args;
mod script;
mod supervise;
mod tenant;
mod tenants;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;

use davy_engine::{Error, Result};

use self::args::TenantArgs;
pub(crate) use self::args::{CdsArgs, EXAMPLES};
use self::tenant::Service;
use self::tenants::Tenant;
pub(crate) use self::words::with_long_words;
use crate::args::{InputArgs, RunArgs, ScriptArgs};
use crate::{model, output, run, signals};

/// What errors call the script: it is that file, line by line.
const SCRIPT: &str = "pipelines/cds.sql";
/// The `-tid` of a process for all tenants.
const ALL: &str = "all";

pub(crate) fn run(args: &CdsArgs) -> Result<ExitCode> {
    if args.consume == args.produce {
        return Err(Error::invalid(format!("`{}` cannot be read and written: it would never end", args.consume))
            .hint("give -c and -p different topics"));
    }
    let TenantArgs { tenantservice, tenantid, tenants, .. } = &args.tenants;
    let (Some(address), Some(tenantid)) = (tenantservice, tenantid) else {
        let text = script::fill(&values(args, None, None)?);
        return if args.print_sql { print(&text) } else { run::run_text(&run_args(args), &text) };
    };
    let tenants = match (tenantid.as_str(), tenants) {
        (ALL, Some(path)) => tenants::read(path)?,
        (ALL, None) => {
            return Err(Error::invalid("`-tid all` needs the list of all tenants").hint("give it with --tenants"));
        }
        (_, Some(_)) => {
            return Err(Error::invalid("--tenants is for `-tid all`").hint("leave out --tenants, or write `-tid all`"));
        }
        (id, None) => vec![Tenant::named(id)],
    };
    let service = Service::new(args, address)?;
    tenants.iter().try_for_each(|tenant| service.check(&tenant.id))?;
    let signals = signals::listen()?;
    if !args.print_sql {
        return supervise::run(args, &tenants, &service, &signals);
    }
    let [tenant] = tenants.as_slice() else {
        return Err(Error::invalid("each tenant has a script of its own").hint("print one with -tid and a tenant's id"));
    };
    match service.await_partition(&tenant.id, &signals.stop)? {
        Some(partition) => print(&script::fill(&values(args, Some(tenant), Some(partition))?)),
        None => Ok(ExitCode::SUCCESS),
    }
}

fn print(text: &str) -> Result<ExitCode> {
    output::print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// What fills the script; what a tenant has of its own outranks the arguments.
fn values<'a>(args: &'a CdsArgs, tenant: Option<&Tenant>, partition: Option<u32>) -> Result<script::Values<'a>> {
    let threshold = match tenant.and_then(|tenant| tenant.threshold).or(args.threshold) {
        Some(threshold) => threshold,
        None => model::threshold(&args.model)?,
    };
    Ok(script::Values {
        name: script::name(args, partition)?,
        partition,
        messages_per_second: tenant.and_then(|tenant| tenant.messages_per_second),
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

fn run_args(args: &CdsArgs) -> RunArgs {
    let input = InputArgs {
        input: None,
        set: args.set.clone(),
        onnxruntime: args.onnxruntime.clone(),
        nfdump: None,
        plugin_dirs: Vec::new(),
        config: args.config.clone(),
    };
    RunArgs {
        script: ScriptArgs { script: PathBuf::from(SCRIPT), input },
        output: None,
        commit_interval: args.commit_interval.clone(),
        commit_rows: args.commit_rows,
        spill_dir: None,
        tasks: args.tasks,
        name: None,
        quiet: args.quiet,
        http: args.http.clone(),
    }
}
