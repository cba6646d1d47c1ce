//! Commands that call a coordinator: submit, list, describe, pause, resume, stop, update, tail, watch, workers, tasks, scaling.
//!
//! Generated gRPC types end here: `show` formats output, `wait` decides when `--wait` ends, and `status` turns statuses into the engine's
//! errors. Left out: checking SQL, which only the coordinator does.

pub(crate) mod args;
mod client;
mod cluster;
mod pipelines;
mod show;
mod status;
mod stream;
mod text;
mod wait;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use davy_engine::{Error, Result};

use self::args::{CommonArgs, ConnectionArgs, Output, RemoteCommand, ScriptArgs, SubmitArgs, WaitArgs};
use self::client::Client;

/// How long a pipeline may take to run on this machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn run(command: &RemoteCommand) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Unavailable(format!("cannot begin a network call: {error}")))?;
    runtime.block_on(execute(command))?;
    Ok(ExitCode::SUCCESS)
}

/// Submits a script to a coordinator of this machine, and waits until it runs.
pub(crate) fn submit_here(coordinator: SocketAddr, script: &Path, name: &str, set: &[(String, String)]) -> Result<()> {
    let connection = ConnectionArgs { coordinator: vec![format!("http://{coordinator}")], ..ConnectionArgs::default() };
    let args = SubmitArgs {
        script: script.to_owned(),
        name: name.to_owned(),
        with: ScriptArgs { set: set.to_vec(), request_id: None },
        dry_run: false,
        wait: WaitArgs { wait: true, timeout: PATIENCE },
        common: CommonArgs { output: Output::Table, connection },
    };
    run(&RemoteCommand::Submit(args)).map(|_| ())
}

async fn execute(command: &RemoteCommand) -> Result<()> {
    let mut client = Client::open(&common(command).connection)?;
    let client = &mut client;
    match command {
        RemoteCommand::Submit(args) => pipelines::submit(client, args).await,
        RemoteCommand::List(args) => pipelines::list(client, args).await,
        RemoteCommand::Describe(args) => pipelines::describe(client, args).await,
        RemoteCommand::Pause(args) => pipelines::pause(client, args).await,
        RemoteCommand::Resume(args) => pipelines::resume(client, args).await,
        RemoteCommand::Stop(args) => pipelines::stop(client, args).await,
        RemoteCommand::Update(args) => pipelines::update(client, args).await,
        RemoteCommand::Tail(args) => stream::tail(client, args).await,
        RemoteCommand::Watch(args) => stream::watch(client, args).await,
        RemoteCommand::Workers(args) => cluster::workers(client, args).await,
        RemoteCommand::Tasks(args) => cluster::tasks(client, args).await,
        RemoteCommand::Scaling(args) => cluster::scaling(client, args).await,
    }
}

fn common(command: &RemoteCommand) -> &CommonArgs {
    match command {
        RemoteCommand::Submit(args) => &args.common,
        RemoteCommand::List(args) => &args.common,
        RemoteCommand::Describe(args) => &args.common,
        RemoteCommand::Pause(args) | RemoteCommand::Resume(args) => &args.common,
        RemoteCommand::Stop(args) => &args.change.common,
        RemoteCommand::Update(args) => &args.common,
        RemoteCommand::Tail(args) => &args.common,
        RemoteCommand::Watch(args) => &args.common,
        RemoteCommand::Tasks(args) => &args.common,
        RemoteCommand::Workers(args) | RemoteCommand::Scaling(args) => args,
    }
}
