//! Alerts for other systems: `alert_ecs(alert)`, `alert_ocsf(alert)`, `alert_falcosidekick(alert)`, `alert_cef(alert)`,
//! `alert_tcam(alert)`; and `alert_id(value, …)`.
//!
//! An alert is a struct, `named_struct('id', …, 'rule', …)`, whose fields have the names of [`row::FIELDS`]. Each format takes what it has
//! a place for. A field that does not exist, has another type, or is missing in a format that needs it is refused when the script is
//! planned. What only a row can show (no id, a level that does not exist) fails that row, as any expression does.

mod attack;
mod cef;
mod ecs;
mod falcosidekick;
mod id;
mod json;
mod ocsf;
mod row;
mod tcam;

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringBuilder};
use arrow::datatypes::{DataType, Fields};
use datafusion::common::{Result as DfResult, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::catalog::list;
use crate::udf::model::{refuse, sql_type};
use row::{Columns, FIELDS, Row};

/// What Davy calls itself in alerts.
const PRODUCT: &str = "Davy";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes an alert; the error says what is wrong with the row.
type Write = fn(&Row<'_>) -> Result<String, String>;

/// A format of alerts.
struct Format {
    function: &'static str,
    /// Fields that it cannot do without.
    required: &'static [&'static str],
    write: Write,
}

static FORMATS: [Format; 5] = [
    Format { function: "alert_cef", required: &["id", "rule", "time"], write: cef::write },
    Format { function: "alert_ecs", required: &["id", "rule", "time"], write: ecs::write },
    Format { function: "alert_falcosidekick", required: &["id", "rule", "time"], write: falcosidekick::write },
    Format { function: "alert_ocsf", required: &["id", "rule", "time"], write: ocsf::write },
    Format { function: "alert_tcam", required: &["window_start", "window_end"], write: tcam::write },
];

/// The functions for a catalog.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let of_format = |format: usize| {
        let signature = Signature::new(TypeSignature::UserDefined, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(AlertFunction { format, signature }))
    };
    (0..FORMATS.len()).map(of_format).chain([id::function()]).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AlertFunction {
    /// Which of [`FORMATS`].
    format: usize,
    signature: Signature,
}

impl AlertFunction {
    fn format(&self) -> &'static Format {
        &FORMATS[self.format]
    }
}

impl ScalarUDFImpl for AlertFunction {
    fn name(&self) -> &str {
        self.format().function
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DfResult<DataType> {
        Ok(DataType::Utf8)
    }

    fn coerce_types(&self, given: &[DataType]) -> DfResult<Vec<DataType>> {
        let Format { function, required, .. } = self.format();
        let [DataType::Struct(fields)] = given else {
            return refuse(
                format!("`{function}` takes one struct"),
                format!("write {function}(named_struct('{}', …, …))", required.join("', …, '")),
            );
        };
        check(function, required, fields)?;
        Ok(given.to_vec())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DfResult<ColumnarValue> {
        let Format { function, required, write } = self.format();
        let alerts = args.args[0].to_array(args.number_rows)?;
        let alerts = alerts.as_struct();
        let columns = Columns::new(alerts)?;
        let mut made = StringBuilder::new();
        for index in 0..args.number_rows {
            if alerts.is_null(index) {
                made.append_null();
                continue;
            }
            let row = columns.row(index);
            let written = row.check(required).and_then(|()| write(&row));
            match written {
                Ok(text) => made.append_value(text),
                Err(wrong) => return exec_err!("{function}: {wrong}"),
            }
        }
        Ok(ColumnarValue::Array(Arc::new(made.finish())))
    }
}

/// Checks the fields of an alert by name and type.
fn check(function: &str, required: &[&str], fields: &Fields) -> DfResult<()> {
    for field in fields {
        let Some((name, kind)) = FIELDS.iter().find(|(name, _)| name == field.name()) else {
            return refuse(
                format!("`{function}`: an alert has no field `{}`", field.name()),
                format!("its fields are {}", list(FIELDS.iter().map(|(name, _)| *name))),
            );
        };
        if !kind.takes(field.data_type()) {
            return refuse(
                format!("`{function}`: field `{name}` is {}, not {}", kind.describe(), sql_type(field.data_type())),
                "CAST it, or give another column".to_owned(),
            );
        }
    }
    for name in required {
        if fields.iter().all(|field| field.name() != name) {
            return refuse(
                format!("`{function}`: field `{name}` is missing"),
                format!("it needs {}", list(required.iter().copied())),
            );
        }
    }
    Ok(())
}
