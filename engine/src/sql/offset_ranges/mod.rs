//! `offset_ranges(split, offset)`: which messages the rows of a group are from, as a list of texts such as `flows/3@1000-1018`.
//!
//! One range per split, from the first to the last offset of the group's rows, both included. Read again, the ranges hold every row
//! of the group, and rows of others. Rows without a split or an offset count for nothing; a group without any range is null.

mod groups;
mod range;

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, TypeSignature, Volatility,
};

use crate::udf::model::{refuse, sql_type};
use groups::Groups;
pub use range::OffsetRange;

const NAME: &str = "offset_ranges";

#[derive(Debug, PartialEq, Eq, Hash)]
struct OffsetRanges {
    signature: Signature,
}

/// The function for a catalog.
pub(super) fn function() -> Arc<AggregateUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(OffsetRanges { signature }))
}

fn list_of_texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

impl AggregateUDFImpl for OffsetRanges {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(list_of_texts())
    }

    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        match given {
            [split, offset] if (split.is_string() || split.is_null()) && (offset.is_integer() || offset.is_null()) => {
                Ok(vec![DataType::Utf8, DataType::Int64])
            }
            _ => {
                let types: Vec<String> = given.iter().map(sql_type).collect();
                refuse(
                    format!("`{NAME}` takes a split and an offset, not ({})", types.join(", ")),
                    format!(
                        "declare `part TEXT METADATA FROM 'split'` and `at BIGINT METADATA FROM 'offset'`, and write \
                         {NAME}(part, at)"
                    ),
                )
            }
        }
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> DfResult<Box<dyn Accumulator>> {
        Ok(Box::new(One(Groups::default())))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DfResult<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, NAME), list_of_texts(), true))])
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> DfResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::default()))
    }
}

/// All rows as one group.
#[derive(Debug)]
struct One(Groups);

impl One {
    fn list(&mut self) -> DfResult<ListArray> {
        self.0.reserve(1);
        self.0.take(EmitTo::All)
    }
}

impl Accumulator for One {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DfResult<()> {
        self.0.update_batch(values, &vec![0; values[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DfResult<()> {
        self.0.merge_batch(states, &vec![0; states[0].len()], 1)
    }

    fn state(&mut self) -> DfResult<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> DfResult<ScalarValue> {
        Ok(ScalarValue::List(Arc::new(self.list()?)))
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
