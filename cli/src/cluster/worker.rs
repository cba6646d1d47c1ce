//! `davy worker`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use davy_engine::{Error, Result};
use davy_proto::domain::{IdentityFiles, TlsFiles};
use davy_worker::agent::{self, AgentOptions};
use davy_worker::connector::{LocalConnectors, Scope, Variables};
use davy_worker::host::HostOptions;
use davy_worker::http::HttpOptions;
use davy_worker::slots::SlotOptions;

use super::args::{MachineArgs, TaskArgs, WorkerArgs};
use crate::settings::{onnxruntime, spill_dir};
use crate::signals::listen;

/// Runs until a signal stops it.
pub(crate) fn run(args: &WorkerArgs) -> Result<ExitCode> {
    let signals = listen()?;
    agent::run(agent_options(args)?, slot_options(&args.task, &args.machine)?, signals.token)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn slot_options(task: &TaskArgs, machine: &MachineArgs) -> Result<SlotOptions> {
    let host = HostOptions {
        commit_interval: task.commit_interval,
        commit_rows: task.commit_rows,
        spill_dir: spill_dir(task.spill_dir.as_deref())?,
        ..HostOptions::default()
    };
    // The coordinator has accepted what a worker runs.
    Ok(SlotOptions { connectors: connectors(machine, false), host })
}

/// Without tokens, callers are on this machine and have the rights of the process.
pub(crate) fn connectors(machine: &MachineArgs, has_tokens: bool) -> LocalConnectors {
    let named = &machine.variables;
    let variables = if named.is_empty() && !has_tokens { Variables::All } else { Variables::Named(named.clone()) };
    LocalConnectors {
        scope: Scope::Cluster(variables),
        // Not used there.
        nfdump: None,
        onnxruntime: onnxruntime(machine.onnxruntime.as_deref(), None),
        plugin_dirs: machine.plugin_dirs.clone(),
    }
}

fn agent_options(args: &WorkerArgs) -> Result<AgentOptions> {
    let name = args.name.clone().unwrap_or_else(host_name);
    let http = match args.http.on() {
        None => None,
        Some(address) => {
            let token = args.http_token_file.as_deref().map(read_token).transpose()?;
            Some(HttpOptions { address, token })
        }
    };
    Ok(AgentOptions {
        coordinators: args.coordinator.clone(),
        id: agent::unique_id(&name),
        name,
        slots: args.slots.unwrap_or_else(n_cores),
        labels: args.labels.iter().cloned().collect(),
        token_file: args.token_file.clone(),
        tls: TlsFiles { ca: args.ca.clone(), identity: identity_files(args.cert.as_ref(), args.key.as_ref()) },
        http,
        grace: args.grace,
    })
}

pub(crate) fn n_cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX))
}

pub(crate) fn identity_files(certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<IdentityFiles> {
    Some(IdentityFiles { certificate: certificate?.clone(), key: key?.clone() })
}

/// A token from a file, without its line end.
pub(crate) fn read_token(path: &Path) -> Result<String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(format!("token file `{shown}` cannot be read: {error}")))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Error::invalid(format!("token file `{shown}` is empty")));
    }
    Ok(token.to_owned())
}

pub(crate) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "worker".to_owned() } else { name.to_owned() }
}
