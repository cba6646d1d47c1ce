//! A plug-in as a SQL function: what a script declared, what the [`Library`] does, and the row policy between them.
//!
//! A plug-in that fails on a batch, or returns what it should not, costs the results of that batch (nulls, counted) or, with
//! `on_error = 'fail'`, the pipeline. One that hangs or unwinds into the host always costs the pipeline: it cannot be called again.
//! It is called where the script calls it, for every row that comes there, and never while a script is planned.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::library::{CallError, Library};
use crate::connector::Stopwatch;
use crate::error::Error;
use crate::metrics::FunctionMetrics;

/// What a call that failed costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnError {
    /// The results of its rows: they are null.
    #[default]
    Null,
    Fail,
}

/// A plug-in that a script has named.
#[derive(Debug)]
pub struct Plugin {
    /// The loaded library, by the function's name.
    pub library: Arc<Library>,
    /// Types of the arguments.
    pub arguments: Vec<DataType>,
    /// Type of the result.
    pub returns: DataType,
    /// What a call that failed costs.
    pub on_error: OnError,
    pub metrics: Arc<FunctionMetrics>,
    /// For the seconds that are counted.
    pub stopwatch: Stopwatch,
}

impl Plugin {
    pub fn function(self) -> Arc<ScalarUDF> {
        // Volatile, so that planning never calls it, and it is called as often as the script says.
        let signature = Signature::exact(self.arguments.clone(), Volatility::Volatile);
        Arc::new(ScalarUDF::new_from_impl(PluginFunction { plugin: self, signature }))
    }
}

#[derive(Debug)]
struct PluginFunction {
    plugin: Plugin,
    signature: Signature,
}

/// Names are unique in a script, so they say which function it is.
impl PartialEq for PluginFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name() && Arc::ptr_eq(&self.plugin.library, &other.plugin.library)
    }
}

impl Eq for PluginFunction {}

impl Hash for PluginFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for PluginFunction {
    fn name(&self) -> &str {
        self.plugin.library.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.plugin.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let arguments: Vec<ArrayRef> =
            args.args.iter().map(|value| value.to_array(args.number_rows)).collect::<DfResult<_>>()?;
        let metrics = &self.plugin.metrics;
        let begun = (self.plugin.stopwatch)();
        let called = self.plugin.library.call(&arguments, args.number_rows, &self.plugin.returns);
        let took = (self.plugin.stopwatch)().saturating_sub(begun);
        metrics.seconds.inc_by(took.as_secs_f64());
        metrics.rows.inc_by(args.number_rows as u64);
        metrics.batches.inc();
        let array = match called {
            Ok(array) => array,
            Err(error) => {
                metrics.errors.inc();
                metrics.first_error.get_or_init(|| error.to_string());
                self.plugin.after_error(&error, args.number_rows)?
            }
        };
        metrics.null_rows.inc_by(array.null_count() as u64);
        Ok(ColumnarValue::Array(array))
    }
}

impl Plugin {
    fn after_error(&self, error: &CallError, n_rows: usize) -> DfResult<ArrayRef> {
        let costs_rows = match error {
            CallError::Failed(_) | CallError::Misbehaved(_) => self.on_error == OnError::Null,
            CallError::Refused(_) | CallError::Broken(_) => false,
        };
        if costs_rows {
            return Ok(new_null_array(&self.returns, n_rows));
        }
        // The script was fine when it was planned: this is a failure of the run.
        Err(DataFusionError::External(Box::new(Error::Unavailable(error.to_string()))))
    }
}
