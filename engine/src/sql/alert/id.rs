//! `alert_id(value, …)`: the same id for the same values, so that an alert that is sent twice is known to be one.
//!
//! It is the SHA-256 of all values, each as `<bytes>:<text>,` (a netstring), null as `-,`: two lists of values never become the same
//! text. Integers are in decimal, and a timestamp is its nanoseconds since 1970.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use sha2::{Digest, Sha256};

use super::{refuse, sql_type};
use crate::time::TIMESTAMP;

const NAME: &str = "alert_id";

#[derive(Debug, PartialEq, Eq, Hash)]
struct AlertId {
    signature: Signature,
}

pub(super) fn function() -> Arc<ScalarUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(AlertId { signature }))
}

impl ScalarUDFImpl for AlertId {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        if given.is_empty() {
            return refuse(
                format!("`{NAME}` takes values"),
                "give the pipeline's name, the columns that GROUP BY has, and the window's start".to_owned(),
            );
        }
        let wanted = |given: &DataType| match given {
            DataType::Timestamp(..) => Ok(TIMESTAMP),
            DataType::Boolean => Ok(DataType::Boolean),
            other if other.is_string() || other.is_null() => Ok(DataType::Utf8),
            other if other.is_integer() => Ok(other.clone()),
            other => refuse(
                format!("`{NAME}`: a value is TEXT, an integer, BOOLEAN or TIMESTAMP, not {}", sql_type(other)),
                "CAST it to TEXT".to_owned(),
            ),
        };
        given.iter().map(wanted).collect()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let texts = args.args.iter().map(|value| as_text(&value.to_array(args.number_rows)?));
        let columns = texts.collect::<DfResult<Vec<ArrayRef>>>()?;
        let mut made = StringBuilder::with_capacity(args.number_rows, args.number_rows * 64);
        let mut content = String::new();
        for row in 0..args.number_rows {
            content.clear();
            for column in columns.iter().map(|column| column.as_string::<i32>()) {
                let text = column.is_valid(row).then(|| column.value(row));
                match text {
                    Some(text) => write!(content, "{}:{text},", text.len()).expect("a String takes any text"),
                    None => content.push_str("-,"),
                }
            }
            let digest = Sha256::digest(content.as_bytes());
            for byte in digest {
                write!(made, "{byte:02x}").expect("a builder takes any text");
            }
            made.append_value("");
        }
        Ok(ColumnarValue::Array(Arc::new(made.finish())))
    }
}

fn as_text(values: &ArrayRef) -> DfResult<ArrayRef> {
    let is_time = matches!(values.data_type(), DataType::Timestamp(..));
    let plain = if is_time { cast(values, &DataType::Int64)? } else { Arc::clone(values) };
    Ok(cast(&plain, &DataType::Utf8)?)
}
