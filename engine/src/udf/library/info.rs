//! What a plug-in says of itself through `__abi_info`, and whether a declaration agrees.

use arrow::datatypes::DataType;
use serde::Deserialize;

use super::types::abi_type;
use crate::error::{Error, Result};

/// The parsed JSON of `__abi_info`. Types are written as Arrow names them: `Float64`, `Int64`, `Utf8`. Unknown fields are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AbiInfo {
    /// The function's name as its author calls it; a script may choose another.
    pub name: String,
    /// What it takes, in order.
    pub arguments: Vec<Argument>,
    pub returns: String,
    /// The model inside, where there is one.
    pub model: Option<Model>,
    /// How many rows a call should have, if possible.
    pub batch_rows: Option<usize>,
}

/// An argument of a plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Argument {
    /// Its name, for messages.
    pub name: String,
    /// Arrow's name of its type.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// The model inside a plug-in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Model {
    pub name: String,
    pub version: String,
    /// SHA-256 of the model file, in hex.
    pub sha256: String,
}

impl AbiInfo {
    pub(super) fn parse(function: &str, json: &str) -> Result<Self> {
        serde_json::from_str(json).map_err(|error| {
            Error::invalid(format!(
                "function `{function}`: `__abi_info` of its library is not what is expected: {error}"
            ))
            .hint("udfs/README.md shows its fields; without that symbol any declaration is taken at its word")
        })
    }

    /// Checks the types of a declaration against it.
    pub fn check(&self, function: &str, arguments: &[DataType], returns: &DataType) -> Result<()> {
        let refuse = |what: String| {
            let wanted: Vec<String> =
                self.arguments.iter().map(|Argument { name, data_type }| format!("{name} {data_type}")).collect();
            let signature = format!("{}({}) returns {}", self.name, wanted.join(", "), self.returns);
            Err(Error::invalid(format!("function `{function}`: {what}")).hint(format!("the library has `{signature}`")))
        };
        if arguments.len() != self.arguments.len() {
            return refuse(format!(
                "{} arguments are declared, the library takes {}",
                arguments.len(),
                self.arguments.len()
            ));
        }
        for (index, (declared, argument)) in arguments.iter().zip(&self.arguments).enumerate() {
            if !is_same(declared, &argument.data_type) {
                let (number, Argument { name, data_type }) = (index + 1, argument);
                return refuse(format!(
                    "argument {number} (`{name}`) is declared `{declared}`, the library takes `{data_type}`"
                ));
            }
        }
        if !is_same(returns, &self.returns) {
            return refuse(format!("RETURNS is declared `{returns}`, the library gives `{}`", self.returns));
        }
        Ok(())
    }
}

/// Whether a declared type crosses the ABI as the named one.
fn is_same(declared: &DataType, named: &str) -> bool {
    let named: Option<DataType> = named.parse().ok();
    named.is_some() && abi_type(declared) == named
}
