//! `cidr_match(address, network, …)`: whether an address lies in one of some networks, which are literals.
//!
//! Null for a null address; false for a text that is no address. A text that is no network is refused while the script is planned.

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result as DfResult, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::error::{Error, Subject};
use crate::lookup::{Network, parse_address};

const NAME: &str = "cidr_match";

/// The function for a catalog.
pub(in crate::sql) fn cidr_match() -> Arc<ScalarUDF> {
    let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(CidrMatch { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CidrMatch {
    signature: Signature,
}

impl ScalarUDFImpl for CidrMatch {
    fn name(&self) -> &'static str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        let is_text = |given: &DataType| {
            matches!(given, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) || given.is_null()
        };
        if given.len() < 2 || !given.iter().all(is_text) {
            return refuse("cidr_match takes an address and networks, all TEXT", "write cidr_match(sa, '10.0.0.0/8')");
        }
        Ok(vec![DataType::Utf8; given.len()])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let Some((address, networks)) = args.args.split_first() else {
            return refuse("cidr_match takes an address and networks", "write cidr_match(sa, '10.0.0.0/8')");
        };
        let networks = networks.iter().map(literal).collect::<DfResult<Vec<Network>>>()?;
        let addresses = address.to_array(args.number_rows)?;
        let lies_in = |text: &str| {
            let address = parse_address(text);
            address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
        };
        let found: BooleanArray = addresses.as_string::<i32>().iter().map(|text| text.map(lies_in)).collect();
        Ok(ColumnarValue::Array(Arc::new(found)))
    }

    /// Checks the networks before anything runs.
    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> DfResult<ExprSimplifyResult> {
        for argument in args.iter().skip(1) {
            match argument {
                Expr::Literal(value, _) => literal(&ColumnarValue::Scalar(value.clone())).map(|_| ())?,
                other => return refuse_network(&other.to_string()),
            }
        }
        Ok(ExprSimplifyResult::Original(args))
    }
}

fn literal(value: &ColumnarValue) -> DfResult<Network> {
    let ColumnarValue::Scalar(ScalarValue::Utf8(Some(text))) = value else { return refuse_network("null") };
    match Network::parse(text) {
        Ok(network) => Ok(network),
        Err(why) => {
            let error = Error::invalid(format!("cidr_match: {why}")).about(Subject::Call(NAME.to_owned()));
            Err(DataFusionError::External(Box::new(error)))
        }
    }
}

fn refuse_network<T>(given: &str) -> DfResult<T> {
    refuse(
        &format!("cidr_match takes networks as literals, not {given}"),
        "write the networks as texts, or join with a lookup table",
    )
}

fn refuse<T>(message: &str, hint: &str) -> DfResult<T> {
    let error = Error::invalid(message).hint(hint).about(Subject::Call(NAME.to_owned()));
    Err(DataFusionError::External(Box::new(error)))
}
