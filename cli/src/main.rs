//! `davy`: runs SQL pipelines over NetFlow, explains them, and checks them.
//!
//! Exit codes: 0 done · 1 it failed while running · 2 the script, a setting or an argument is wrong · 130 interrupted · 141 the reader of
//! the standard output has gone (`| head`), as for a program that SIGPIPE ends · 143 ended by SIGTERM before the end of its input.

mod args;
mod baseline;
mod cds;
mod cluster;
mod collect;
mod explain_alert;
mod functions;
mod health;
mod ioc;
mod lag;
mod miner_test;
mod model;
mod offsets;
mod output;
mod progress;
mod remote;
mod rules;
mod run;
mod script;
mod settings;
mod signals;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use davy_engine::Error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use args::{Args, Command, LogFormat};

/// What a shell expects of a program that SIGPIPE ended.
const OUTPUT_CLOSED: u8 = 141;

fn main() -> ExitCode {
    let args = Args::parse_from(cds::with_long_words(std::env::args_os()));
    log_to_stderr(args.log_format);
    let outcome = match args.command {
        Command::Run(run) => run::run(&run),
        Command::Baseline(args) => baseline::run(&args),
        Command::Cds(args) => cds::run(&args),
        Command::Coordinator(args) => cluster::coordinator::run(&args),
        Command::Dev(args) => cluster::dev::run(&args),
        Command::Worker(args) => cluster::worker::run(&args),
        Command::Health(args) => health::run(&args),
        Command::Lag(args) => lag::lag(&args),
        Command::Offsets(args) => offsets::reset_watermark(&args),
        Command::Topics(args) => lag::topics(&args),
        Command::ExplainAlert(args) => explain_alert::run(&args),
        Command::Explain(explain) => script::explain(&explain),
        Command::Validate(validate) => script::validate(&validate),
        Command::Functions(functions) => functions::list(&functions),
        Command::MinerTest(args) => miner_test::run(&args),
        Command::Model(args) => model::run(&args.command),
        Command::Rules(args) => rules::run(&args.command),
        Command::Ioc(args) => ioc::run(&args.command),
        Command::Remote(command) => remote::run(&command),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "davy", &mut text);
            output::print(&String::from_utf8_lossy(&text)).map(|()| ExitCode::SUCCESS)
        }
    };
    outcome.unwrap_or_else(|error| {
        if !matches!(error, Error::OutputClosed(_)) {
            output::say(&format!("error: {error}"));
        }
        exit_code(&error)
    })
}

/// Whole lines on standard error: for people, or one JSON object each.
fn log_to_stderr(format: LogFormat) {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).with_env_var("DAVY_LOG");
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_ansi(std::io::stderr().is_terminal())
        // A closed standard error is no reason to panic.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}

/// What a failed run returns to its shell.
fn exit_code(error: &Error) -> ExitCode {
    match error {
        Error::Invalid(_) => ExitCode::from(2),
        Error::OutputClosed(_) => ExitCode::from(OUTPUT_CLOSED),
        Error::Data(_) | Error::Unavailable(_) | Error::OutOfMemory(_) | Error::Fenced(_) | Error::Internal(_) => {
            ExitCode::from(1)
        }
    }
}
