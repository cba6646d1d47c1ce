//! Rows that the topic or the receiver does not take to which they go. They follow `on_error`, as rows on which an expression fails.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;

use super::Context;
use super::bad_records::{RejectedRecord, dead_letter_rows};
use crate::error::{Diagnostic, Error, Result};
use crate::format::BadRecord;
use crate::log::{Commit, Position, SplitId, Unwritable};
use crate::operator::guard::row_as_json;
use crate::plan::{Output, RowPolicy, StageInput};

/// Takes the rows for tables that do not fit out of the next commit, and those that are delivered before it.
pub(super) fn take_out(context: &mut Context, commit: &mut dyn Commit) -> Result<()> {
    for (table, batch) in std::mem::take(&mut context.rows) {
        if let Some(refused) = commit.deliver(&table, &batch)? {
            context.metrics.sink_rows.inc_by((batch.num_rows() - refused.len()) as u64);
            if !refused.is_empty() {
                apply_policy(context, &table, &batch, &refused)?;
            }
            continue;
        }
        let unwritable = commit.unwritable(&table, &batch)?;
        if unwritable.is_empty() {
            context.rows.push((table, batch));
            continue;
        }
        let fits = (0..batch.num_rows()).map(|row| unwritable.iter().all(|unwritable| unwritable.row != row));
        let rest = filter_record_batch(&batch, &BooleanArray::from_iter(fits.map(Some)))?;
        apply_policy(context, &table, &batch, &unwritable)?;
        context.rows.push((table, rest));
    }
    Ok(())
}

fn apply_policy(context: &mut Context, table: &Arc<str>, batch: &RecordBatch, unwritable: &[Unwritable]) -> Result<()> {
    let policy = policy_of(context, table);
    let RowPolicy::DeadLetter(dead_letters) = &policy else {
        return Err(unwritable
            .first()
            .map_or_else(|| Error::internal("every row can be written"), |row| error(context, table, row)));
    };
    unwritable.iter().for_each(|row| context.metrics.count_failure(row.reason, &policy));
    let rejected: Vec<RejectedRecord> = unwritable
        .iter()
        .map(|row| {
            let (detail, bytes) = (describe(table, row), row_as_json(batch, row.row));
            RejectedRecord::new(BadRecord { reason: row.reason, detail, offset: 0, bytes }, Position(0))
        })
        .collect();
    let rows = dead_letter_rows(&SplitId::from(&*context.name), &rejected)?;
    context.rows.push((Arc::clone(dead_letters), rows));
    Ok(())
}

/// Of the table with the results it is that of the query; of the table for late rows, that of the table that they were read from.
fn policy_of(context: &Context, table: &Arc<str>) -> RowPolicy {
    let of_results = context.branches().iter().find_map(|branch| match &branch.output {
        Output::Sink(sink) if sink == table => Some(&branch.on_error),
        Output::Local(windows) if windows.sink == *table => Some(&windows.on_error),
        Output::Sink(_) | Output::Local(_) | Output::Exchange(_) => None,
    });
    let of_source = || match &context.dataflow.stages[context.stage].input {
        StageInput::Table(source) => Some(&source.on_error),
        StageInput::Exchanges(_) => None,
    };
    of_results.or_else(of_source).filter(|policy| **policy != RowPolicy::Null).cloned().unwrap_or(RowPolicy::Fail)
}

fn describe(table: &str, Unwritable { why, .. }: &Unwritable) -> String {
    format!("a row of table `{table}` {why}")
}

fn error(context: &Context, table: &str, row: &Unwritable) -> Error {
    let hint = format!(
        "{}, or say on_error = 'dead_letter' with a dead_letter_table or dead_letter_topic for the table",
        row.remedy
    );
    let message = format!("task `{}`: {}", context.name, describe(table, row));
    Error::Data(Box::new(Diagnostic { message, location: None, subject: None, hint: Some(hint) }))
}
