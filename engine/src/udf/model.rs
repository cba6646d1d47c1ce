//! A model as SQL functions: `f(…)` gives the score, `f_class(…)` the class, `f_explain(…)` the reasons as JSON, `f_model()` which model it
//! is.
//!
//! Arguments are the card's features, in the card's order; any number will do and is converted to f64, then to f32, as the
//! trainer did. Null in, null out: a row with a null has no score, no class and no reasons, and neither has one that the card's
//! rule for values that are not finite leaves without.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StringBuilder};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use davy_forest::scorer::{Explanation, Scorer};
use serde_json::{Value, json};

use crate::connector::Stopwatch;
use crate::error::{Error, Result};
use crate::metrics::FunctionMetrics;
use crate::udf::model_info::{self, ModelInfo};

/// Features that an explanation names: those that moved the score most.
const REASONS: usize = 5;

/// A model that a script has named.
#[derive(Clone, Debug)]
pub struct Model {
    /// The SQL function's name.
    pub name: Arc<str>,
    pub scorer: Arc<Scorer>,
    pub metrics: Arc<FunctionMetrics>,
    /// For the seconds that are counted.
    pub stopwatch: Stopwatch,
}

/// What a call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Score,
    Class,
    Reasons,
}

impl Answer {
    const ALL: [Self; 3] = [Self::Score, Self::Class, Self::Reasons];

    fn suffix(self) -> &'static str {
        match self {
            Self::Score => "",
            Self::Class => "_class",
            Self::Reasons => "_explain",
        }
    }
}

impl Model {
    /// The names of its SQL functions that take features.
    pub fn function_names(name: &str) -> [String; 3] {
        Answer::ALL.map(|answer| format!("{name}{}", answer.suffix()))
    }

    /// The name of the SQL function that says which model it is.
    pub fn info_name(name: &str) -> String {
        model_info::function_name(name)
    }

    pub fn functions(&self) -> Result<Vec<Arc<ScalarUDF>>> {
        let parameters: Vec<String> = self.scorer.card().features.iter().map(|feature| feature.name.clone()).collect();
        let function = |answer: Answer| {
            let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable)
                .with_parameter_names(parameters.clone())?;
            let name = format!("{}{}", self.name, answer.suffix());
            Ok(Arc::new(ScalarUDF::new_from_impl(ModelFunction { model: self.clone(), name, answer, signature })))
        };
        let info = model_info::function(&self.name, self.scorer.card());
        Answer::ALL.into_iter().map(function).chain([Ok(info)]).collect()
    }
}

/// The SHA-256 of the model behind a function, if it is one of a model.
pub fn model_sha256(function: &dyn Any) -> Option<&str> {
    let of_features = || Some(function.downcast_ref::<ModelFunction>()?.model.scorer.card().sha256.as_str());
    function.downcast_ref::<ModelInfo>().map(|info| info.sha256.as_str()).or_else(of_features)
}

/// One of a model's functions.
#[derive(Debug)]
struct ModelFunction {
    model: Model,
    name: String,
    answer: Answer,
    signature: Signature,
}

/// Names are unique in a script, so they say which function it is.
impl PartialEq for ModelFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.model.scorer, &other.model.scorer)
    }
}

impl Eq for ModelFunction {}

impl Hash for ModelFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ModelFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(if self.answer == Answer::Score { DataType::Float64 } else { DataType::Utf8 })
    }

    /// Checks number and types of the arguments; FLOAT columns stay as they are, other numbers become DOUBLE.
    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        let features = &self.model.scorer.card().features;
        if given.len() != features.len() {
            let names: Vec<&str> = features.iter().map(|feature| feature.name.as_str()).collect();
            let message = format!(
                "`{}` takes {} arguments ({}), not {}",
                self.name,
                features.len(),
                names.join(", "),
                given.len()
            );
            return refuse(message, "give the model's features in this order".to_owned());
        }
        let mut wanted = Vec::new();
        for (data_type, feature) in given.iter().zip(features) {
            if !data_type.is_numeric() && !data_type.is_null() {
                let message = format!(
                    "`{}`: feature `{}` is a number ({}), not {}",
                    self.name,
                    feature.name,
                    feature.unit,
                    sql_type(data_type)
                );
                return refuse(message, "CAST it to DOUBLE, or give another column".to_owned());
            }
            let is_single = *data_type == DataType::Float32;
            wanted.push(if is_single { DataType::Float32 } else { DataType::Float64 });
        }
        Ok(wanted)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let metrics = &self.model.metrics;
        let begun = (self.model.stopwatch)();
        let answered = Columns::new(&args).and_then(|columns| self.answer(&columns));
        let took = (self.model.stopwatch)().saturating_sub(begun);
        metrics.seconds.inc_by(took.as_secs_f64());
        metrics.rows.inc_by(args.number_rows as u64);
        metrics.batches.inc();
        if answered.is_err() {
            metrics.errors.inc();
        }
        Ok(ColumnarValue::Array(answered?))
    }
}

/// Refuses a call while it is planned.
pub(crate) fn refuse<T>(message: String, hint: String) -> DfResult<T> {
    Err(DataFusionError::External(Box::new(Error::invalid(message).hint(hint))))
}

/// A type as it is written in SQL.
pub(crate) fn sql_type(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "TEXT".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Timestamp(..) => "TIMESTAMP".to_owned(),
        DataType::Interval(_) => "INTERVAL".to_owned(),
        DataType::Date32 | DataType::Date64 => "DATE".to_owned(),
        other => other.to_string(),
    }
}

/// The arguments of a call as columns of f32, and the rows in which none of them is null.
struct Columns {
    arrays: Vec<ArrayRef>,
    valid: Option<NullBuffer>,
    n_rows: usize,
}

impl Columns {
    fn new(args: &ScalarFunctionArgs) -> DfResult<Self> {
        let mut arrays = Vec::with_capacity(args.args.len());
        let mut valid: Option<NullBuffer> = None;
        for value in &args.args {
            let array = value.to_array(args.number_rows)?;
            let array = if *array.data_type() == DataType::Float32 { array } else { as_single(&array)? };
            valid = NullBuffer::union(valid.as_ref(), array.nulls());
            arrays.push(array);
        }
        Ok(Self { arrays, valid, n_rows: args.number_rows })
    }

    fn slices(&self) -> Vec<&[f32]> {
        self.arrays.iter().map(|array| &array.as_primitive::<Float32Type>().values()[..]).collect()
    }

    fn is_valid(&self, row: usize) -> bool {
        self.valid.as_ref().is_none_or(|valid| valid.is_valid(row))
    }

    fn row(&self, row: usize) -> Vec<f32> {
        self.arrays.iter().map(|array| array.as_primitive::<Float32Type>().value(row)).collect()
    }
}

/// To f64, then to f32, rounding to nearest: what is too large becomes infinite, and the card says what that means.
fn as_single(array: &ArrayRef) -> DfResult<ArrayRef> {
    let doubles = cast(array, &DataType::Float64)?;
    Ok(Arc::new(doubles.as_primitive::<Float64Type>().unary::<_, Float32Type>(|value| value as f32)))
}

impl ModelFunction {
    fn answer(&self, columns: &Columns) -> DfResult<ArrayRef> {
        match self.answer {
            Answer::Score => {
                let scores = self.scores(columns)?;
                self.model.metrics.count_scores(&scores);
                Ok(nullable(scores))
            }
            Answer::Class => self.classes(columns),
            Answer::Reasons => self.reasons(columns),
        }
    }

    /// NaN where there is no score.
    fn scores(&self, columns: &Columns) -> DfResult<Vec<f64>> {
        let mut scores = vec![f64::NAN; columns.n_rows];
        self.model.scorer.score(&columns.slices(), &mut scores).map_err(|error| self.failed(&error))?;
        if let Some(valid) = &columns.valid {
            // Under a null is an arbitrary value.
            scores.iter_mut().zip(valid).filter(|(_, valid)| !valid).for_each(|(score, _)| *score = f64::NAN);
        }
        Ok(scores)
    }

    fn classes(&self, columns: &Columns) -> DfResult<ArrayRef> {
        let mut classes = vec![None; columns.n_rows];
        self.model.scorer.classify(&columns.slices(), &mut classes).map_err(|error| self.failed(&error))?;
        let names = &self.model.scorer.card().classes;
        let mut text = StringBuilder::new();
        for (row, class) in classes.into_iter().enumerate() {
            let name = class.filter(|_| columns.is_valid(row)).and_then(|class| names.get(class as usize));
            text.append_option(name);
        }
        Ok(Arc::new(text.finish()))
    }

    fn reasons(&self, columns: &Columns) -> DfResult<ArrayRef> {
        let mut text = StringBuilder::new();
        for row in 0..columns.n_rows {
            let values = columns.row(row);
            let explained = if columns.is_valid(row) {
                self.model.scorer.explain(&values).map_err(|error| self.failed(&error))?
            } else {
                None
            };
            text.append_option(explained.map(|explanation| self.reason(&values, &explanation).to_string()));
        }
        Ok(Arc::new(text.finish()))
    }

    /// The features that moved the score most, largest first. `base`, the reasons and the `others` add up to `sum`: the score, or for
    /// boosted models what the logistic function makes the score of.
    fn reason(&self, values: &[f32], explanation: &Explanation) -> Value {
        let card = self.model.scorer.card();
        let mut order: Vec<usize> = (0..explanation.contributions.len()).collect();
        order.sort_by(|a, b| {
            explanation.contributions[*b].abs().total_cmp(&explanation.contributions[*a].abs()).then(a.cmp(b))
        });
        let (named, rest) = order.split_at(order.len().min(REASONS));
        let contribution = |index: &usize| explanation.contributions[*index];
        let sum = explanation.base + explanation.contributions.iter().sum::<f64>();
        let reasons: Vec<Value> = named
            .iter()
            .copied()
            .filter(|index| contribution(index) != 0.0)
            .map(|index| {
                let feature = &card.features[index];
                json!({
                    "feature": feature.name,
                    "value": f64::from(values[index]),
                    "unit": feature.unit,
                    "contribution": explanation.contributions[index],
                })
            })
            .collect();
        json!({ "model": card.name, "version": card.version, "score": explanation.score, "base": explanation.base,
            "reasons": reasons, "others": rest.iter().map(contribution).fold(0.0, |sum, part| sum + part), "sum": sum })
    }

    fn failed(&self, error: &davy_forest::Error) -> DataFusionError {
        let error = Error::from(error.clone());
        DataFusionError::External(Box::new(error.context(&format!("function `{}`", self.name))))
    }
}

fn nullable(scores: Vec<f64>) -> ArrayRef {
    let nulls: NullBuffer = scores.iter().map(|score| !score.is_nan()).collect();
    Arc::new(Float64Array::new(ScalarBuffer::from(scores), Some(nulls).filter(|nulls| 0 < nulls.null_count())))
}
