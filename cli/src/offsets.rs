//! `davy offsets`: repairs what a pipeline has stored beside its positions.

use std::process::ExitCode;

use davy_engine::Result;
use davy_engine::time::Watermark;
use davy_worker::host::{self, HostOptions, ResetRow};

use crate::args::OffsetsArgs;
use crate::output;
use crate::script::load;
use crate::settings::{pipeline_name, read_file};

pub(crate) fn reset_watermark(args: &OffsetsArgs) -> Result<ExitCode> {
    let file = read_file(args.script.input.config.as_deref())?;
    let pipeline = load(&args.script, &file)?;
    let name = pipeline_name(args.name.as_deref(), &args.script.script)?;
    let options = HostOptions { name, ..HostOptions::default() };
    let rows = host::reset_watermarks(pipeline, options, args.reset_watermark)?;
    output::print(&rows.iter().map(line).collect::<String>())?;
    Ok(ExitCode::SUCCESS)
}

fn line(row: &ResetRow) -> String {
    let shown = |watermark: Option<i64>| Watermark(watermark.unwrap_or(i64::MIN));
    let ResetRow { task, watermark } = row;
    if watermark.before == watermark.after {
        return format!("{task}: {}, unchanged\n", shown(watermark.before));
    }
    format!("{task}: {}, was {}\n", shown(watermark.after), shown(watermark.before))
}
