//! Rows on which an expression fails: found by bisection, then nulled, sent to the dead letters, or the end of the task.
//!
//! As long as no expression fails, none of this runs.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::Context;
use super::bad_records::{RejectedRecord, dead_letter_rows};
use super::origin::Origin;
use crate::error::{Diagnostic, Error, Result};
use crate::format::BadRecord;
use crate::log::{Position, SplitId};
use crate::operator::guard::{Failure, Failures, failing_rows, place};
use crate::plan::{Branch, EventTime, RowPolicy};

/// A failure, and where its row is from.
pub(super) struct FailedRow {
    pub(super) failure: Failure,
    pub(super) position: Position,
    /// What a dead letter keeps of it.
    pub(super) value: Vec<u8>,
}

/// Runs a branch's query over rows of a source.
pub(super) fn run_branch(
    context: &mut Context,
    branch: &Branch,
    batch: &RecordBatch,
    origin: &Origin<'_>,
) -> Result<Vec<RecordBatch>> {
    let inputs = |batch: RecordBatch| HashMap::from([(Arc::clone(&origin.plan.table.name), vec![batch])]);
    match branch.plan.run(inputs(batch.clone()), &context.budget.runtime) {
        Err(Error::Data(_)) => {}
        other => return other,
    }
    if branch.on_error == RowPolicy::Null {
        let failures = Failures::default();
        let made = branch.plan.nulling(&failures)?.run(inputs(batch.clone()), &context.budget.runtime);
        let made = made.map_err(|error| error.context(&format!("task `{}`", context.name)))?;
        failures.take().iter().for_each(|failure| context.metrics.count_failure(failure.reason, &branch.on_error));
        return Ok(made);
    }
    let runtime = Arc::clone(&context.budget.runtime);
    let run = |rows: Range<usize>| branch.plan.run(inputs(batch.slice(rows.start, rows.len())), &runtime);
    let mut found = Found { made: Vec::new(), failed: Vec::new(), stops: branch.on_error == RowPolicy::Fail };
    bisect(0..batch.num_rows(), &run, &mut found)?;
    let mut rows = Vec::new();
    for (row, error) in found.failed {
        let failures = Failures::default();
        branch.plan.nulling(&failures)?.run(inputs(batch.slice(row, 1)), &runtime)?;
        // What fails and is no part of a selected expression has no name.
        let Some(failure) = failures.take().into_iter().next() else {
            return Err(error.context(&format!("task `{}`", context.name)));
        };
        rows.push(FailedRow { failure, position: origin.exact_position(row)?, value: origin.record(batch, row)? });
    }
    apply_policy(context, &branch.on_error, origin, rows)?;
    Ok(found.made)
}

/// Applies the policy to rows whose event time or watermark fails; gives the rows to leave out.
pub(super) fn failing_times(
    context: &mut Context,
    event_time: &EventTime,
    origin: &Origin<'_>,
) -> Result<BTreeSet<usize>> {
    let (batch, policy) = (&origin.decoded.batch, &origin.plan.on_error);
    let failing = failing_rows(&event_time.expressions(), batch)?;
    if *policy == RowPolicy::Null {
        failing.iter().for_each(|(_, failure)| context.metrics.count_failure(failure.reason, policy));
        return Ok(BTreeSet::new());
    }
    let left_out = failing.iter().map(|(row, _)| *row).collect();
    let mut rows = Vec::new();
    for (row, failure) in failing {
        rows.push(FailedRow { failure, position: origin.exact_position(row)?, value: origin.record(batch, row)? });
    }
    apply_policy(context, policy, origin, rows)?;
    Ok(left_out)
}

struct Found {
    made: Vec<RecordBatch>,
    failed: Vec<(usize, Error)>,
    /// Whether the first failing row is enough.
    stops: bool,
}

/// Runs over halves of `rows` until those that fail are alone.
fn bisect(rows: Range<usize>, run: &dyn Fn(Range<usize>) -> Result<Vec<RecordBatch>>, found: &mut Found) -> Result<()> {
    if found.stops && !found.failed.is_empty() {
        return Ok(());
    }
    match run(rows.clone()) {
        Ok(made) => found.made.extend(made),
        Err(error @ Error::Data(_)) if rows.len() <= 1 => found.failed.push((rows.start, error)),
        Err(Error::Data(_)) => {
            let middle = rows.start + rows.len() / 2;
            bisect(rows.start..middle, run, found)?;
            bisect(middle..rows.end, run, found)?;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Applies the policy to rows of a source that fail; rows that an earlier owner has read are not written again.
pub(super) fn apply_policy(
    context: &mut Context,
    policy: &RowPolicy,
    origin: &Origin<'_>,
    mut rows: Vec<FailedRow>,
) -> Result<()> {
    if let (RowPolicy::Fail, Some(first)) = (policy, rows.first()) {
        let place = origin.described(first.position);
        return Err(error(context, &first.failure, &format!("{place}: {}", String::from_utf8_lossy(&first.value))));
    }
    rows.retain(|row| origin.replay.until <= row.position);
    write_dead_letters(context, policy, &origin.fetched.split, rows)
}

/// Applies the policy to failures above closed windows.
pub(super) fn apply_to_results(context: &mut Context, policy: &RowPolicy, failures: Vec<Failure>) -> Result<()> {
    if let (RowPolicy::Fail, Some(first)) = (policy, failures.first()) {
        return Err(error(context, first, &format!("a result row: {}", String::from_utf8_lossy(&first.row_as_json()))));
    }
    let split = SplitId::from(&*context.name);
    let row = |failure: Failure| FailedRow { position: Position(0), value: failure.row_as_json(), failure };
    write_dead_letters(context, policy, &split, failures.into_iter().map(row).collect())
}

fn write_dead_letters(context: &mut Context, policy: &RowPolicy, split: &SplitId, rows: Vec<FailedRow>) -> Result<()> {
    rows.iter().for_each(|row| context.metrics.count_failure(row.failure.reason, policy));
    let RowPolicy::DeadLetter(table) = policy else { return Ok(()) };
    if rows.is_empty() {
        return Ok(());
    }
    let rejected: Vec<RejectedRecord> = rows.into_iter().map(|row| rejected(context, row)).collect();
    context.rows.push((Arc::clone(table), dead_letter_rows(split, &rejected)?));
    Ok(())
}

fn rejected(context: &Context, row: FailedRow) -> RejectedRecord {
    let FailedRow { failure, position, mut value } = row;
    let (name, location) = place::find(&context.dataflow.expressions, &failure.expression);
    let at = location.map_or_else(String::new, |at| format!(" (line {}, column {})", at.line, at.column));
    let detail = format!("expression `{name}`{at}: {}{}", failure.error, values(&failure));
    value.truncate(BadRecord::MAX_BYTES);
    RejectedRecord::new(BadRecord { reason: failure.reason, detail, offset: 0, bytes: value }, position)
}

fn values(failure: &Failure) -> String {
    if failure.values.is_empty() { String::new() } else { format!("; {}", failure.shown_values()) }
}

/// The error that ends a task: the task, the expression with its place in the SQL, the values, and the row.
fn error(context: &Context, failure: &Failure, row: &str) -> Error {
    let (name, location) = place::find(&context.dataflow.expressions, &failure.expression);
    let message =
        format!("task `{}`: expression `{name}` fails: {}{}; in {row}", context.name, failure.error, values(failure));
    let hint = "say on_error = 'null' for the table, or 'dead_letter' with a dead_letter_table";
    Error::Data(Box::new(Diagnostic { message, location, subject: None, hint: Some(hint.to_owned()) }))
}
