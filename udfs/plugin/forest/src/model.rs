//! The model inside: loaded at the first use, then shared by all threads.

use std::sync::OnceLock;

use arroyo_udf_plugin::arrow::array::{Array, ArrayData, Float64Array};
use arroyo_udf_plugin::arrow::buffer::NullBuffer;
use arroyo_udf_plugin::arrow::datatypes::DataType;
use davy_forest::card::Card;
use davy_forest::package::Package;
use davy_forest::scorer::{Backend, Options, Scorer};
use serde_json::json;

static CARD: &str = include_str!(env!("DAVY_MODEL_CARD"));
static MODEL: &[u8] = include_bytes!(env!("DAVY_MODEL_FILE"));

/// Scores columns of `f64`, as many as the model has features; a row with a null has no score.
pub fn score(columns: Vec<ArrayData>) -> Result<ArrayData, String> {
    let scorer = scorer()?;
    let columns = check(scorer.card(), columns)?;
    let n_rows = columns.first().map_or(0, Float64Array::len);
    // To nearest, which is how the card says that features enter the model.
    let values: Vec<Vec<f32>> =
        columns.iter().map(|column| column.values().iter().map(|value| *value as f32).collect()).collect();
    let slices: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    let mut scores = vec![0.0; n_rows];
    scorer.score(&slices, &mut scores).map_err(|error| error.to_string())?;

    let have_score = NullBuffer::from_iter(scores.iter().map(|score| !score.is_nan()));
    let have_score = Some(have_score).filter(|nulls| nulls.null_count() != 0);
    let nulls = columns.iter().fold(have_score, |nulls, column| NullBuffer::union(nulls.as_ref(), column.nulls()));
    Ok(Float64Array::new(scores.into(), nulls).into_data())
}

/// The JSON of `__abi_info`.
pub fn info(batch_rows: usize) -> Result<String, String> {
    let card = Card::parse(CARD).map_err(|error| error.to_string())?;
    let argument = |name: &str| json!({ "name": name, "type": "Float64" });
    let arguments: Vec<_> = card.features.iter().map(|feature| argument(&feature.name)).collect();
    let info = json!({
        "abi": 1,
        "name": card.name,
        "arguments": arguments,
        "returns": "Float64",
        "model": { "name": card.name, "version": card.version, "sha256": card.sha256 },
        "batch_rows": batch_rows,
    });
    Ok(info.to_string())
}

/// Builds it once; a model that cannot be built fails every call with the same words.
fn scorer() -> Result<&'static Scorer, String> {
    static SCORER: OnceLock<Result<Scorer, String>> = OnceLock::new();
    let build = || {
        let package = Package::parse(CARD, MODEL.to_vec())?;
        // A plug-in brings everything along, so there is no ONNX Runtime to look for.
        Scorer::new(&package, &Options { backend: Backend::Native, onnxruntime: None })
    };
    let scorer = SCORER.get_or_init(|| build().map_err(|error| error.to_string()));
    scorer.as_ref().map_err(String::clone)
}

fn check(card: &Card, columns: Vec<ArrayData>) -> Result<Vec<Float64Array>, String> {
    if columns.len() != card.features.len() {
        return Err(format!("`{}` takes {} arguments, not {}", card.name, card.features.len(), columns.len()));
    }
    let named = columns.into_iter().zip(&card.features);
    let check = |(column, feature): (ArrayData, &davy_forest::card::Feature)| match column.data_type() {
        DataType::Float64 => Ok(Float64Array::from(column)),
        other => Err(format!("argument `{}` of `{}` is {other}, not Float64; cast it", feature.name, card.name)),
    };
    named.map(check).collect()
}
