//! Arithmetic that fails where its result does not fit, instead of wrapping: DataFusion's operators wrap integers, and leave decimals of
//! more than 38 digits as they are.
//!
//! Planning calls these functions in place of the operators (`sql::checked`). They compute with DataFusion's own operators in their
//! checked form, so types and special cases are the same. Floating-point numbers do not wrap and keep the operators. An error
//! is of a row, like a failing CAST, and follows the row policy.

mod argument;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::kernels::numeric::neg;
use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Decimal128Type, Decimal256Type, Field, FieldRef,
    Schema,
};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::logical_expr_common::type_coercion::binary::BinaryTypeCoercer;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal, NegativeExpr};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

pub(crate) use argument::Argument;
use argument::CheckedArgument;

/// What is computed with a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Negate,
}

impl Operation {
    /// The operation of an expression that may have a result that does not fit.
    pub(crate) fn of(expression: &Expr) -> Option<Self> {
        match expression {
            Expr::Negative(_) => Some(Self::Negate),
            Expr::BinaryExpr(binary) => match binary.op {
                Operator::Plus => Some(Self::Add),
                Operator::Minus => Some(Self::Subtract),
                Operator::Multiply => Some(Self::Multiply),
                Operator::Divide => Some(Self::Divide),
                Operator::Modulo => Some(Self::Modulo),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether DataFusion's operator may give a wrong `result`. Its division of integers is checked.
    pub(crate) fn may_not_fit(self, result: &DataType) -> bool {
        match self {
            Self::Divide | Self::Modulo => result.is_decimal(),
            Self::Add | Self::Subtract | Self::Multiply | Self::Negate => {
                let is_time = matches!(
                    result,
                    DataType::Timestamp(..)
                        | DataType::Date32
                        | DataType::Date64
                        | DataType::Duration(_)
                        | DataType::Interval(_)
                );
                result.is_integer() || result.is_decimal() || is_time
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Add => "checked_add",
            Self::Subtract => "checked_subtract",
            Self::Multiply => "checked_multiply",
            Self::Divide => "checked_divide",
            Self::Modulo => "checked_modulo",
            Self::Negate => "checked_negate",
        }
    }

    /// The operator of two operands; negation has none.
    fn operator(self) -> Option<Operator> {
        match self {
            Self::Add => Some(Operator::Plus),
            Self::Subtract => Some(Operator::Minus),
            Self::Multiply => Some(Operator::Multiply),
            Self::Divide => Some(Operator::Divide),
            Self::Modulo => Some(Operator::Modulo),
            Self::Negate => None,
        }
    }

    /// The function that computes it, for an expression with this name.
    pub(crate) fn function(self, name: String) -> ScalarUDF {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::new_from_impl(Checked { operation: self, name, signature })
    }
}

/// `expression` as a person wrote it: without the functions of this module.
pub(crate) fn as_written(expression: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let written = |node: Arc<dyn PhysicalExpr>| -> Result<Transformed<Arc<dyn PhysicalExpr>>> {
        let Some(call) = node.downcast_ref::<ScalarFunctionExpr>() else { return Ok(Transformed::no(node)) };
        let inner: &dyn std::any::Any = call.fun().inner().as_ref();
        if let (true, [argument]) = (inner.is::<CheckedArgument>(), call.args()) {
            return Ok(Transformed::yes(Arc::clone(argument)));
        }
        let Some(checked) = inner.downcast_ref::<Checked>() else { return Ok(Transformed::no(node)) };
        let made: Arc<dyn PhysicalExpr> = match (checked.operation.operator(), call.args()) {
            (Some(operator), [left, right]) => Arc::new(BinaryExpr::new(Arc::clone(left), operator, Arc::clone(right))),
            (None, [operand]) => Arc::new(NegativeExpr::new(Arc::clone(operand))),
            _ => return Ok(Transformed::no(node)),
        };
        Ok(Transformed::yes(made))
    };
    Arc::clone(expression).transform_up(written).data()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operation: Operation,
    /// The name of the expression that it stands for. Made of the operands at each call, the names of a long chain would cost the cube of
    /// its length.
    name: String,
    signature: Signature,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.operation.name()
    }

    /// A column is called as if the operator stood there.
    fn schema_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.name.clone())
    }

    fn display_name(&self, _: &[Expr]) -> Result<String> {
        Ok(self.name.clone())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.operation.operator(), types) {
            (Some(operator), [left, right]) => {
                let (left, right) = BinaryTypeCoercer::new(left, &operator, right).get_input_types()?;
                Ok(vec![left, right])
            }
            _ => Ok(types.to_vec()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match (self.operation.operator(), types) {
            (Some(operator), [left, right]) => BinaryTypeCoercer::new(left, &operator, right).get_result_type(),
            (None, [operand]) => Ok(operand.clone()),
            _ => internal_err!("{} of {} operands", self.name(), types.len()),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let is_nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, is_nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let computed = match (self.operation.operator(), &args.args[..]) {
            (Some(operator), [left, right]) => binary(left, operator, right, args.number_rows)?,
            (None, [operand]) => negated(operand)?,
            (_, other) => return internal_err!("{} of {} operands", self.name(), other.len()),
        };
        match &computed {
            ColumnarValue::Array(array) => check_digits(array)?,
            ColumnarValue::Scalar(scalar) => check_digits(&scalar.to_array()?)?,
        }
        Ok(computed)
    }
}

fn binary(left: &ColumnarValue, operator: Operator, right: &ColumnarValue, n_rows: usize) -> Result<ColumnarValue> {
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    let mut operand = |value: &ColumnarValue| -> Arc<dyn PhysicalExpr> {
        match value {
            ColumnarValue::Scalar(scalar) => Arc::new(Literal::new(scalar.clone())),
            ColumnarValue::Array(array) => {
                fields.push(Field::new("operand", array.data_type().clone(), true));
                columns.push(Arc::clone(array));
                Arc::new(Column::new("operand", columns.len() - 1))
            }
        }
    };
    let operation = BinaryExpr::new(operand(left), operator, operand(right)).with_fail_on_overflow(true);
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    operation.evaluate(&RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)?)
}

fn negated(operand: &ColumnarValue) -> Result<ColumnarValue> {
    match operand {
        ColumnarValue::Array(array) => Ok(ColumnarValue::Array(neg(array.as_ref())?)),
        ColumnarValue::Scalar(scalar) => {
            let negated = neg(scalar.to_array()?.as_ref())?;
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(negated.as_ref(), 0)?))
        }
    }
}

/// The operators compute decimals in 128 or 256 bits, which hold a few numbers of a digit too many. A type of fewer digits than the most
/// has room for every result.
fn check_digits(array: &ArrayRef) -> Result<()> {
    match array.data_type() {
        DataType::Decimal128(precision @ DECIMAL128_MAX_PRECISION, _) => {
            array.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision)?;
        }
        DataType::Decimal256(precision @ DECIMAL256_MAX_PRECISION, _) => {
            array.as_primitive::<Decimal256Type>().validate_decimal_precision(*precision)?;
        }
        _ => {}
    }
    Ok(())
}
