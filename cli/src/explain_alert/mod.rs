//! `davy explain-alert`: an alert, proven by its own messages.
//!
//! The alert names the offsets of its messages. The pipeline that gave it is planned again over exactly these, its rows are kept instead
//! of written, and the one with the alert's id has to be the alert. A second query over the same messages gives the flows.

mod again;
mod alert;
mod args;
mod report;

use std::io::Read;
use std::process::ExitCode;

use davy_engine::{Error, Result};

use self::alert::Alert;
pub(crate) use self::args::{EXAMPLES, ExplainAlertArgs};
use crate::settings::read_file;
use crate::signals::listen;

pub(crate) fn run(args: &ExplainAlertArgs) -> Result<ExitCode> {
    let alert = find(args)?;
    let file = read_file(args.input.config.as_deref())?;
    let signals = listen()?;
    let found = again::run(args, &file, &alert, &signals.stop)?;
    report::print(args, &alert, &found)?;
    Ok(if found.is_same() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The alert that the arguments name.
fn find(args: &ExplainAlertArgs) -> Result<Alert> {
    match &args.alerts {
        None => {
            let alerts = read(&args.alert).map_err(|error| {
                error.hint("give a file with the alert; to look an id up, name the file with --alerts")
            })?;
            only(alerts, &format!("`{}`", args.alert), "give its id, and name the file with --alerts")
        }
        Some(path) => {
            let path = path.display().to_string();
            let mut alerts = read(&path)?;
            alerts.retain(|alert| alert.id().is_some_and(|id| id.starts_with(&args.alert)));
            // The same alert may be there several times: early results, or one that was sent again.
            let ids: std::collections::HashSet<Option<String>> =
                alerts.iter().map(|alert| alert.id().map(str::to_owned)).collect();
            if ids.len() == 1 {
                alerts.drain(..alerts.len() - 1);
            }
            only(alerts, &format!("`{path}` with an id that begins with `{}`", args.alert), "give more of the id")
        }
    }
}

fn read(path: &str) -> Result<Vec<Alert>> {
    let text = if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| Error::invalid(format!("`{path}` cannot be read: {error}")))?;
    Alert::read_all(&text).map_err(|error| error.context(&format!("`{path}`")))
}

fn only(mut alerts: Vec<Alert>, place: &str, hint: &str) -> Result<Alert> {
    match (alerts.pop(), alerts.len()) {
        (Some(alert), 0) => Ok(alert),
        (None, _) => Err(Error::invalid(format!("there is no alert in {place}"))),
        (Some(_), more) => Err(Error::invalid(format!("there are {} alerts in {place}", more + 1)).hint(hint)),
    }
}
