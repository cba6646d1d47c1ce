//! `davy explain-alert`: an alert, proven by its own messages.
//!
//! The alert names the offsets of its messages. The pipeline that gave it is planned again over exactly these, its rows are kept instead
//! of written, and the one with the alert's id has to be the alert. A second query over the same messages gives the flows.

mod again;
mod alert;
mod args;
mod report;

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use davy_engine::{Error, Result};
use davy_worker::host;

use self::again::Script;
use self::alert::Alert;
pub(crate) use self::args::{EXAMPLES, ExplainAlertArgs};
use crate::args::OutputFormat;
use crate::settings::read_file;

pub(crate) fn run(args: &ExplainAlertArgs) -> Result<ExitCode> {
    if args.output == OutputFormat::Csv {
        return Err(Error::invalid("an explanation is no table of rows").hint("use -o table or -o json"));
    }
    let file = read_file(args.input.config.as_deref())?;
    let script = Script::read(args, &file)?;
    let alert = find(args, &script)?;
    let found = again::run(args, script, &alert)?;
    report::print(args, &alert, &found)?;
    Ok(if found.is_same() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The alert that the arguments name: in a file, or by its id.
fn find(args: &ExplainAlertArgs, script: &Script<'_>) -> Result<Alert> {
    let given = &args.alert;
    let is_file = args.alerts.is_none() && (given == "-" || Path::new(given).is_file());
    if is_file {
        return only(read(given)?, &format!("`{given}`"), "give its id, and name the file with --alerts");
    }
    let (mut alerts, place) = match &args.alerts {
        Some(path) => (read(&path.display().to_string())?, format!("`{}`", path.display())),
        None => written(given, script)?,
    };
    alerts.retain(|alert| alert.has_id(given));
    // The same alert may be there several times: early results, or one that was sent again.
    if alerts.iter().all(|alert| alert.id() == alerts[0].id()) {
        alerts.drain(..alerts.len().saturating_sub(1));
    }
    only(alerts, &format!("{place} with an id that begins with `{given}`"), "give more of the id")
}

/// The alerts with such an id in the topics that the pipeline writes, and what to call these.
fn written(id: &str, script: &Script<'_>) -> Result<(Vec<Alert>, String)> {
    let mut alerts = Vec::new();
    let mut tables = Vec::new();
    for sink in &script.plan()?.sinks {
        let take = |value: &[u8]| alerts.extend(Alert::of_line(value).filter(|alert| alert.has_id(id)));
        if host::read_written(sink, take)? {
            tables.push(format!("`{}`", sink.name));
        }
    }
    if tables.is_empty() {
        return Err(Error::invalid(format!("there is no file `{id}`, and the pipeline writes no topic with alerts"))
            .hint("give a file with the alert, or name the file with --alerts to look an id up"));
    }
    Ok((alerts, format!("the topics of {}", tables.join(", "))))
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
