//! The lookup as a scalar function: a key to the list's entry, as a struct; null where there is none. And the fields of an entry.
//!
//! Fields are functions of their own instead of DataFusion's `get_field`, which its optimiser moves below projections: the lookup would be
//! computed again for each field.
//!
//! It is volatile to DataFusion, so that planning never calls it: the list may change while the plan stays. It cannot fail, so a row
//! without an entry, or with a key that is no address, is a row like others.

use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::DataType;
use datafusion::common::Result as DfResult;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::in_force::in_force;
use super::{Lookup, Match};
use crate::error::Error;

/// The function of a lookup table.
pub(crate) fn function(lookup: &Arc<Lookup>) -> ScalarUDF {
    let name = format!("lookup_{}", lookup.declaration.name);
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Volatile);
    ScalarUDF::new_from_impl(LookupFunction { lookup: Arc::clone(lookup), name, signature })
}

/// The lookup table behind a function, if it is one of a lookup table.
pub(crate) fn of_function(function: &dyn Any) -> Option<&Arc<Lookup>> {
    Some(&function.downcast_ref::<LookupFunction>()?.lookup)
}

/// What a function of a lookup table means, whatever its list contains.
pub(crate) fn declaration(function: &dyn Any) -> Option<String> {
    Some(of_function(function)?.declaration.describe())
}

#[derive(Debug)]
struct LookupFunction {
    lookup: Arc<Lookup>,
    name: String,
    signature: Signature,
}

/// Names are unique in a script, so they say which function it is.
impl PartialEq for LookupFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.lookup, &other.lookup)
    }
}

impl Eq for LookupFunction {}

impl Hash for LookupFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for LookupFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Struct(self.lookup.declaration.nullable_columns().fields().clone()))
    }

    /// Integers of all widths are compared by value, texts with texts; anything else is refused.
    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        let declaration = &self.lookup.declaration;
        let key = declaration.columns.field(declaration.key);
        let [given] = given else { return Err(external(Error::internal("a lookup has one key"))) };
        let is_text = matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let wanted = match key.data_type() {
            DataType::Utf8 if is_text || given.is_null() => DataType::Utf8,
            other if other.is_integer() && *given == DataType::UInt64 => DataType::UInt64,
            other if other.is_integer() && (given.is_integer() || given.is_null()) => DataType::Int64,
            other => {
                let message = format!(
                    "the key `{}` of lookup table `{}` is {}, which cannot be compared with {given}",
                    key.name(),
                    declaration.name,
                    if *other == DataType::Utf8 { "TEXT".to_owned() } else { other.to_string() },
                );
                let hint = match declaration.matching {
                    Match::Cidr => "compare it with an address as TEXT",
                    Match::Exact => "CAST the other side in the condition",
                };
                return Err(external(Error::invalid(message).hint(hint)));
            }
        };
        Ok(vec![wanted])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [key] = args.args.as_slice() else { return Err(external(Error::internal("a lookup has one key"))) };
        let keys = key.to_array(args.number_rows)?;
        let found = in_force(&self.lookup).find(&keys).map_err(external)?;
        self.lookup.metrics.count(&found);
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

/// One field of an entry; null where there is no entry.
pub(crate) fn field(lookup: &Lookup, column: usize) -> ScalarUDF {
    let field = lookup.declaration.columns.field(column);
    let name = format!("lookup_field_{}", field.name());
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(FieldFunction { name, column, data_type: field.data_type().clone(), signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldFunction {
    name: String,
    column: usize,
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for FieldFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let [entry] = args.args.as_slice() else { return Err(external(Error::internal("a field has one entry"))) };
        let entries = entry.to_array(args.number_rows)?;
        let entries = entries.as_struct();
        let column = entries.column(self.column);
        if entries.null_count() == 0 {
            return Ok(ColumnarValue::Array(Arc::clone(column)));
        }
        // Under a null is an arbitrary value.
        Ok(ColumnarValue::Array(nullif(column, &is_null(entries)?)?))
    }
}

fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
