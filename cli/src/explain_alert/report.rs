//! What `davy explain-alert` prints.

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use davy_engine::format::Format;
use davy_engine::format::json::JsonOptions;
use davy_engine::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::again::Found;
use super::alert::{self, Alert, Difference};
use super::args::ExplainAlertArgs;
use crate::args::OutputFormat;
use crate::output;

pub(super) fn print(args: &ExplainAlertArgs, alert: &Alert, found: &Found) -> Result<()> {
    if args.output == OutputFormat::Json {
        return output::print(&format!("{}\n", as_json(alert, found, args.flows)?));
    }
    output::print(&as_text(args, alert, found)?)
}

fn as_json(alert: &Alert, found: &Found, limit: usize) -> Result<Value> {
    let difference = |difference: &Difference| json!({"field": difference.field, "alert": difference.alert, "again": difference.again});
    let differences = found.differences.as_ref().map(|all| all.iter().map(difference).collect::<Vec<_>>());
    let mut flows = Vec::new();
    for batch in found.flows.iter().flatten() {
        let mut lines = Vec::new();
        Format::Json(JsonOptions::default()).encoder(&batch.schema())?.encode(batch, &mut lines)?;
        let rows = serde_json::Deserializer::from_slice(&lines).into_iter::<Value>();
        flows.extend(rows.collect::<Result<Vec<_>, _>>().map_err(|error| Error::internal(error.to_string()))?);
    }
    let n_flows = found.flows.as_ref().map(|_| flows.len());
    flows.truncate(limit);
    Ok(json!({
        "alert": alert.0,
        "read": found.ranges.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "is_same": found.is_same(),
        "differences": differences,
        "other_alerts": found.n_others,
        "n_flows": n_flows,
        "flows": flows,
    }))
}

fn as_text(args: &ExplainAlertArgs, alert: &Alert, found: &Found) -> Result<String> {
    let texts = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<String>>();
    let fields = alert.fields();
    let mut explanations = Vec::new();
    find_reasons("", &alert.0, &mut explanations);
    let is_explained = |field: &str| {
        explanations.iter().any(|(path, _)| {
            field.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    };
    let plain = fields.iter().filter(|(name, _)| !is_explained(name));
    let plain: Vec<Vec<String>> = plain.map(|(name, value)| vec![name.clone(), shown(value)]).collect();
    let mut text = format!("The alert\n{}\n", output::draw(&texts(&["field", "value"]), &plain));
    explanations.iter().for_each(|(path, reasons)| text += &reasons.text(path));
    let ranges: Vec<String> =
        found.ranges.iter().map(|range| format!("  {range}  ({} messages)\n", range.last - range.first + 1)).collect();
    text += if ranges.is_empty() { "Read again: the whole input\n" } else { "Read again\n" };
    text += &ranges.concat();
    text += &match &found.differences {
        Some(differences) if differences.is_empty() => {
            format!("\nThe same alert comes out: all {} fields are equal.\n", fields.len())
        }
        Some(differences) => {
            let rows: Vec<Vec<String>> = differences
                .iter()
                .map(|found| vec![found.field.clone(), shown(&found.alert), shown(&found.again)])
                .collect();
            let table = output::draw(&texts(&["field", "alert", "again"]), &rows);
            format!("\nANOTHER ALERT COMES OUT. {} of its fields differ:\n{table}", differences.len())
        }
        None => format!("\nTHE ALERT DOES NOT COME OUT. {} others do, with other ids.\n", found.n_others),
    };
    let Some(batches) = &found.flows else {
        return Ok(
            text + "\nFlows are not shown: the table has no sa, da, sp and dp, or the alert no addresses; see --where.\n"
        );
    };
    let n_flows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut rows = Vec::new();
    for batch in batches {
        let options = FormatOptions::default();
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options));
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(|error| Error::internal(error.to_string()))?;
        let row = |row: usize| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<String>>();
        rows.extend((0..batch.num_rows()).map(row).take(args.flows - rows.len().min(args.flows)));
    }
    let which = if rows.len() < n_flows { format!(", the first {}", rows.len()) } else { String::new() };
    text += &format!("\nFlows: {n_flows}{which}\n");
    if let Some(first) = batches.first() {
        let header: Vec<String> = first.schema().fields().iter().map(|field| field.name().clone()).collect();
        text += &output::draw(&header, &rows);
    }
    Ok(text)
}

/// A value as people read it: texts without quotes.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What `<model>_explain` gives: a base, and what each feature adds to it.
#[derive(Debug, Deserialize)]
struct Reasons {
    base: f64,
    reasons: Vec<Reason>,
    others: f64,
    sum: f64,
}

#[derive(Debug, Deserialize)]
struct Reason {
    feature: String,
    value: Option<f64>,
    unit: Option<String>,
    contribution: f64,
}

/// The explanations within a value, by their paths.
fn find_reasons(path: &str, value: &Value, found: &mut Vec<(String, Reasons)>) {
    if let Some(reasons) = Reasons::of(value) {
        found.push((path.to_owned(), reasons));
    } else if let Value::Object(object) = value {
        for (name, value) in object {
            find_reasons(&alert::path(path, name), value, found);
        }
    }
}

impl Reasons {
    /// From an object, or a text that holds one; `None` where it is something else.
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => serde_json::from_str(text).ok(),
            value => Self::deserialize(value).ok(),
        }
    }

    fn text(&self, name: &str) -> String {
        let number = |value: f64| format!("{value:.4}");
        let row = |name: &str, value: String, contribution: f64| vec![name.to_owned(), value, number(contribution)];
        let mut rows = vec![row("(base)", String::new(), self.base)];
        rows.extend(self.reasons.iter().map(|reason| {
            // 1 is the unit of shares.
            let unit = reason.unit.as_deref().filter(|unit| *unit != "1").unwrap_or_default();
            let value = reason.value.map_or_else(|| "null".to_owned(), |value| format!("{} {unit}", number(value)));
            row(&reason.feature, value.trim_end().to_owned(), reason.contribution)
        }));
        rows.push(row("(others)", String::new(), self.others));
        rows.push(row("(sum)", String::new(), self.sum));
        let header = ["feature", "value", "adds to the score"].map(str::to_owned);
        format!("{name}: what moved the score\n{}\n", output::draw(&header, &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_of_a_model_is_a_table_and_other_texts_are_not() {
        let text = json!({
            "base": 0.4, "sum": 0.9, "others": 0.2, "score": 0.9, "model": "m",
            "reasons": [{"feature": "size", "value": 202.5, "unit": "B", "contribution": 0.3},
                        {"feature": "share", "value": null, "unit": "1", "contribution": -0.01}]
        });
        let shown = Reasons::of(&Value::String(text.to_string())).expect("reasons").text("why");
        let lines: Vec<String> =
            shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for expected in [
            "why: what moved the score",
            "(base) 0.4000",
            "size 202.5000 B 0.3000",
            "share null -0.0100",
            "(sum) 0.9000",
        ] {
            assert!(lines.iter().any(|line| line == expected), "{expected}: {shown}");
        }
        let mut found = Vec::new();
        find_reasons("", &json!({"davy": {"explanation": text, "score": 1}}), &mut found);
        assert_eq!(found.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), ["davy.explanation"]);
        for other in [json!("{\"base\": 1}"), json!("text"), json!(5), json!({"base": 1})] {
            assert!(Reasons::of(&other).is_none(), "{other}");
        }
    }
}
