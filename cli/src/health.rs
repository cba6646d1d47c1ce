//! `davy health`: whether a process on this machine is ready, for health checks that run a command in a container without a shell.

use std::process::ExitCode;

use davy_engine::{Error, Result};
use davy_worker::http_client::{HttpClient, HttpClientOptions};

use crate::args::HealthArgs;
use crate::output;

pub(crate) fn run(args: &HealthArgs) -> Result<ExitCode> {
    let url = format!("http://{}/readyz", args.address);
    let answer = HttpClient::new(&HttpClientOptions::default())?.get(&url);
    let answer = answer.map_err(|error| error.context(&format!("`{url}`")))?;
    let text = String::from_utf8_lossy(&answer.body);
    if answer.status == 200 {
        output::print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    Err(Error::Unavailable(format!("not ready: {}", text.trim())))
}
