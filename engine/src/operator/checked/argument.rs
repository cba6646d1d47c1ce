//! Arguments for which a function of DataFusion would give a wrong result: before it is called, they fail, or become what it gets right.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, FieldRef, Float64Type, TimeUnit, TimestampNanosecondType};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::operator::float::canonical;

/// What an argument has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Argument {
    /// A day after the earliest timestamp, so that what it is truncated to is one.
    Truncatable,
    /// Seconds since 1970 that nanoseconds can hold.
    Epoch,
    /// A number with one zero and one NaN, for functions that compare bits.
    Canonical,
}

/// Which argument of a function has to be what.
const CHECKED: [(&str, usize, Argument); 2] =
    [("date_trunc", 1, Argument::Truncatable), ("to_timestamp", 0, Argument::Epoch)];

const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

impl Argument {
    /// The argument of the function `name` that has to be checked, and for what.
    pub(crate) fn of(name: &str) -> Option<(usize, Self)> {
        let (_, index, argument) = CHECKED.iter().find(|(checked, ..)| *checked == name)?;
        Some((*index, *argument))
    }

    /// Whether arguments of this type may be what the function gets wrong.
    pub(crate) fn may_not_fit(self, argument: &DataType) -> bool {
        match self {
            Self::Truncatable => matches!(argument, DataType::Timestamp(TimeUnit::Nanosecond, _)),
            Self::Epoch => *argument == DataType::Float64,
            Self::Canonical => matches!(argument, DataType::Float32 | DataType::Float64),
        }
    }

    /// The function that gives its argument, whose name is `name`, back as it has to be.
    pub(crate) fn function(self, name: String) -> ScalarUDF {
        ScalarUDF::new_from_impl(CheckedArgument {
            argument: self,
            name,
            signature: Signature::any(1, Volatility::Immutable),
        })
    }

    fn checked(self, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let overflow =
            |value: String| Err(ArrowError::ArithmeticOverflow(format!("a timestamp out of range: {value}")));
        match self {
            Self::Truncatable => {
                let values = array.as_primitive::<TimestampNanosecondType>();
                match values.iter().flatten().find(|value| *value < i64::MIN + NANOS_PER_DAY) {
                    Some(value) => overflow(value.to_string()),
                    None => Ok(Arc::clone(array)),
                }
            }
            Self::Epoch => {
                let holds = |seconds: f64| (seconds * 1e9).abs() < i64::MAX as f64;
                match array.as_primitive::<Float64Type>().iter().flatten().find(|seconds| !holds(*seconds)) {
                    Some(seconds) => overflow(format!("{seconds} s")),
                    None => Ok(Arc::clone(array)),
                }
            }
            Self::Canonical => Ok(canonical(array)),
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct CheckedArgument {
    argument: Argument,
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for CheckedArgument {
    fn name(&self) -> &'static str {
        "checked_argument"
    }

    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.name.clone())
    }

    fn display_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.name.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(FieldRef::clone(&args.arg_fields[0]))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match &args.args[0] {
            ColumnarValue::Array(array) => ColumnarValue::Array(self.argument.checked(array)?),
            ColumnarValue::Scalar(scalar) => {
                let checked = self.argument.checked(&scalar.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&checked, 0)?)
            }
        })
    }
}
