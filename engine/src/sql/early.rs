//! `emit_early`: results of windows that are still open.
//!
//! An early row is replaced by a later one, so there must be something that shows it: a table whose later rows replace earlier ones, or
//! `w.is_final` among its columns.

use std::time::Duration;

use datafusion::logical_expr::LogicalPlan;

use super::catalog::Catalog;
use super::max_keys;
use super::window::has_markers;
use super::window_flags::{of_early_results, selects_is_final};
use crate::connector::Table;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::plan::{EarlyResults, KeyLimit, SinkPlan};

/// Each interval may give out all that is open again.
const SHORTEST: Duration = Duration::from_secs(1);

/// Takes option `emit_early` of a table.
pub(super) fn take(table: &dyn Table, options: &mut Options) -> Result<Option<Duration>> {
    const NAME: &str = "emit_early";
    // Errors about other options list it for sinks only.
    if !table.is_sink() && !options.has(NAME) {
        return Ok(None);
    }
    let Some(text) = options.take(NAME) else { return Ok(None) };
    if !table.is_sink() {
        return Err(Error::invalid(format!("{}: `{NAME}` is for a table that is written to", options.owner()))
            .hint("move it to the table that the query inserts into")
            .at(options.location(NAME)));
    }
    let Some(interval) = humantime::parse_duration(text.trim()).ok().filter(|interval| SHORTEST <= *interval) else {
        return Err(options.bad_value(NAME, &text, "a duration of a second or more, such as '1 minute'"));
    };
    Ok(Some(interval))
}

/// Refuses an INSERT whose early rows could not be distinguished from final ones. `plan` still has window markers.
pub(super) fn check(catalog: &Catalog, plan: &LogicalPlan, sink: &SinkPlan) -> Result<()> {
    let (Some(_), Some(table)) = (interval(catalog, &sink.name), &sink.table) else { return Ok(()) };
    if !has_markers(plan)? {
        return Err(Error::invalid(format!(
            "table `{}` has `emit_early`, but the query has no window whose results could be early",
            sink.name
        ))
        .hint("leave `emit_early` out, or GROUP BY tumble(…), hop(…) or session(…)"));
    }
    if table.takes_updates() || selects_is_final(plan)? {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "table `{}` has `emit_early`, but its early rows would look like final ones",
        sink.name
    ))
    .hint(
        "select `w.is_final` of the window `w` into a BOOLEAN column, or, for connector `kafka`, add the option \
         key = '…' with the window and its keys, so that the last row of a key is the final one",
    ))
}

fn interval(catalog: &Catalog, sink: &str) -> Option<Duration> {
    catalog.table(sink)?.emit_early
}

/// How early results are made of a query above windows whose rows go to `sink`, if they are.
pub(super) fn of_sink(
    catalog: &Catalog,
    sink: &str,
    optimized: &LogicalPlan,
    limits: &[KeyLimit],
) -> Result<Option<EarlyResults>> {
    let Some(interval) = interval(catalog, sink) else { return Ok(None) };
    let plan = max_keys::plan_above(catalog, &of_early_results(optimized)?, limits)?;
    let interval_ns = i64::try_from(interval.as_nanos()).unwrap_or(i64::MAX);
    Ok(Some(EarlyResults { interval_ns, plan }))
}
