//! What happens when an expression fails on a row: which row, which part of the expression, with which values.
//!
//! Nothing here runs before an expression has failed. Then the same plan is run again over the same rows in a guarded form: either
//! each failing part of an expression is null for the rows on which it fails ([`plan::nulling`]), or those rows are left out of the
//! operator that would fail on them ([`plan::dropping`]). Failing rows are found by bisection.

mod drop;
mod expression;
pub(crate) mod place;
pub(crate) mod plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, FieldRef, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;

pub(crate) use drop::failing_rows;
pub(crate) use expression::guarded;

use crate::error::Result;
use crate::format::{BadReason, BadRecord, Encoder, Format, json};
use crate::operator::window::session::batch_of;
use crate::options::Options;

/// So many characters of a value are shown.
const VALUE_CHARS: usize = 80;

/// An expression that failed on one row.
#[derive(Clone, Debug)]
pub struct Failure {
    pub(crate) reason: BadReason,
    /// The innermost part that failed.
    pub(crate) expression: Arc<dyn PhysicalExpr>,
    /// The operands that it failed on: name and value, shortened.
    pub(crate) values: Vec<(String, String)>,
    pub(crate) error: String,
    /// The row that it failed on, where rows are left out.
    pub(crate) row: Option<RecordBatch>,
}

impl Failure {
    /// Gives columns other names, for a plan whose columns are numbered.
    pub(crate) fn rename(mut self, names: &HashMap<String, String>) -> Result<Self> {
        let renamed = self.expression.transform_up(|node| match node.downcast_ref::<Column>() {
            Some(column) => Ok(match names.get(column.name()) {
                Some(name) => {
                    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, column.index()));
                    Transformed::yes(column)
                }
                None => Transformed::no(node),
            }),
            None => Ok(Transformed::no(node)),
        })?;
        self.expression = renamed.data;
        for (name, _) in &mut self.values {
            if let Some(known) = names.get(name) {
                name.clone_from(known);
            }
        }
        if let Some(row) = self.row.take() {
            let field = |field: &FieldRef| match names.get(field.name()) {
                Some(name) => Arc::new(field.as_ref().clone().with_name(name)),
                None => Arc::clone(field),
            };
            let schema = Schema::new(row.schema().fields().iter().map(field).collect::<Vec<_>>());
            self.row = Some(batch_of(&Arc::new(schema), row.columns().to_vec(), row.num_rows())?);
        }
        Ok(self)
    }

    /// `` `v` is 0, `w` is NULL ``.
    pub(crate) fn shown_values(&self) -> String {
        let shown: Vec<String> = self.values.iter().map(|(name, value)| format!("`{name}` is {value}")).collect();
        shown.join(", ")
    }

    /// The row as a JSON object.
    pub(crate) fn row_as_json(&self) -> Vec<u8> {
        self.row.as_ref().map(|row| row_as_json(row, 0)).unwrap_or_default()
    }
}

/// Where guarded expressions note their failures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failures(Arc<Mutex<Vec<Failure>>>);

impl Failures {
    pub(crate) fn take(&self) -> Vec<Failure> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn note(&self, failure: Failure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
    }
}

/// Whether an error is about a row's values, so that other rows may do.
pub(crate) fn is_of_row(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => !matches!(
            **error,
            ArrowError::MemoryError(_)
                | ArrowError::IoError(..)
                | ArrowError::SchemaError(_)
                | ArrowError::ExternalError(_)
        ),
        DataFusionError::Execution(_) => true,
        _ => false,
    }
}

/// The reason by which a failure is counted.
fn reason(error: &DataFusionError) -> BadReason {
    match error.find_root() {
        DataFusionError::ArrowError(error, _) => match **error {
            ArrowError::DivideByZero => BadReason::DivisionByZero,
            ArrowError::ArithmeticOverflow(_) => BadReason::Overflow,
            ArrowError::CastError(ref text) if of_text(text) == BadReason::Overflow => BadReason::Overflow,
            ArrowError::CastError(_) | ArrowError::ParseError(_) => BadReason::Cast,
            _ => of_text(&error.to_string()),
        },
        other => of_text(&other.to_string()),
    }
}

/// Functions say what happened in words only.
fn of_text(error: &str) -> BadReason {
    let error = error.to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
    if says(&["overflow", "exceeds the representable", "out of range"]) {
        BadReason::Overflow
    } else if says(&["divide by zero", "division by zero"]) {
        BadReason::DivisionByZero
    } else if says(&["cast", "parse", "parsing"]) {
        BadReason::Cast
    } else {
        BadReason::Expression
    }
}

/// The error in one line, without the kind that DataFusion puts before it.
fn text_of(error: &DataFusionError) -> String {
    let text = error.find_root().strip_backtrace().replace('\n', " ");
    ["Arrow error: ", "Execution error: "].iter().fold(text, |text, prefix| match text.strip_prefix(prefix) {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// A column's first value, shortened.
fn shown_value(column: &dyn Array) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let shown = ArrayFormatter::try_new(column, &options).and_then(|formatter| formatter.value(0).try_to_string());
    shown.map_or_else(|_| format!("a {} that cannot be shown", column.data_type()), |value| shortened(&value))
}

fn shortened(value: &str) -> String {
    let escaped = value.escape_debug().to_string();
    match escaped.char_indices().nth(VALUE_CHARS) {
        None => escaped,
        Some((end, _)) => format!("{}…", &escaped[..end]),
    }
}

/// A row as a JSON object, cut at the length of a dead letter; hidden columns are left out.
pub(crate) fn row_as_json(batch: &RecordBatch, row: usize) -> Vec<u8> {
    let is_shown = |field: &Field| !field.name().starts_with("__");
    let shown: Vec<usize> =
        batch.schema().fields().iter().enumerate().filter(|(_, field)| is_shown(field)).map(|(i, _)| i).collect();
    let encoded = || -> Result<Vec<u8>> {
        let one = batch.slice(row, 1).project(&shown)?;
        let options = json::JsonOptions::from_options(&mut Options::new(""))?;
        let mut encoder: Box<dyn Encoder> = Format::Json(options).encoder(&one.schema())?;
        let mut bytes = Vec::new();
        encoder.encode(&one, &mut bytes)?;
        Ok(bytes)
    };
    // A type that JSON cannot hold: the detail still says why.
    let mut bytes = encoded().unwrap_or_default();
    bytes.truncate(BadRecord::MAX_BYTES);
    while bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    bytes
}
