//! Functions about addresses and connections: `community_id` and `anonymize_ip`.
//!
//! What does not parse gives null, since addresses come from records of other systems.

mod anonymize;
mod community_id;

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{ScalarFunctionArgs, ScalarUDF};

use crate::udf::model::{refuse, sql_type};
pub(super) use anonymize::AnonymizeKey;
pub(super) use community_id::protocol_number;

/// The functions for a catalog; without a key, calls of `anonymize_ip` are refused.
pub(super) fn functions(key: Option<AnonymizeKey>) -> [Arc<ScalarUDF>; 2] {
    [anonymize::function(key), community_id::function()]
}

/// An argument of a call, for errors.
struct Argument {
    function: &'static str,
    name: &'static str,
}

impl Argument {
    fn text(&self, given: &DataType) -> DfResult<DataType> {
        if given.is_string() || given.is_null() {
            return Ok(DataType::Utf8);
        }
        refuse(
            format!("`{}`: `{}` is TEXT, not {}", self.function, self.name, sql_type(given)),
            "CAST it to TEXT, or give another column".to_owned(),
        )
    }

    fn integer(&self, given: &DataType) -> DfResult<DataType> {
        if given.is_integer() || given.is_null() {
            return Ok(DataType::Int64);
        }
        refuse(
            format!("`{}`: `{}` is an integer, not {}", self.function, self.name, sql_type(given)),
            "write TRY_CAST(… AS BIGINT), which is null where the text is no number".to_owned(),
        )
    }
}

fn texts(args: &ScalarFunctionArgs, index: usize) -> DfResult<StringArray> {
    let array = args.args[index].to_array(args.number_rows)?;
    Ok(cast(&array, &DataType::Utf8)?.as_string().clone())
}

fn integers(args: &ScalarFunctionArgs, index: usize) -> DfResult<Int64Array> {
    let array = args.args[index].to_array(args.number_rows)?;
    Ok(cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}
