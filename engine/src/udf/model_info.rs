//! `f_model()`: which model `f` is, as a struct of `name`, `version` and `sha256`, for alerts and other evidence.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use davy_forest::card::Card;

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ModelInfo {
    /// Of the SQL function.
    name: String,
    model: String,
    version: String,
    pub(super) sha256: String,
    signature: Signature,
}

/// The function of the model whose scores `scores` gives.
pub(super) fn function(scores: &str, card: &Card) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(ModelInfo {
        name: function_name(scores),
        model: card.name.clone(),
        version: card.version.clone(),
        sha256: card.sha256.clone(),
        signature: Signature::nullary(Volatility::Immutable),
    }))
}

pub(super) fn function_name(scores: &str) -> String {
    format!("{scores}_model")
}

fn fields() -> Fields {
    ["name", "version", "sha256"].into_iter().map(|name| Field::new(name, DataType::Utf8, false)).collect()
}

impl ScalarUDFImpl for ModelInfo {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let values = [&self.model, &self.version, &self.sha256];
        let columns = values.map(|value| Arc::new(StringArray::from(vec![value.as_str()])) as ArrayRef);
        let info = StructArray::new(fields(), columns.to_vec(), None);
        Ok(ColumnarValue::Scalar(ScalarValue::Struct(Arc::new(info))))
    }
}
