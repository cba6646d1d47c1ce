//! Reads ONNX models: as a [`Forest`] where the model is nothing but a tree ensemble. Any other model is read far enough to
//! refuse, with a remedy, what ONNX Runtime would refuse later or score wrongly.
//!
//! The protobuf is read by a few hundred lines of our own instead of generated code: a forest's file is some long packed arrays,
//! which are read straight into the types that are wanted, and nothing is allocated that the file does not hold.
//!
//! ```text
//! bytes ─wire─▶ fields ─model, attribute, tensor─▶ Graph ─ensemble─▶ Listing ─trees─▶ Tree… ─votes─▶ Forest
//!                                                    └──────────runtime──▶ bytes for ONNX Runtime
//! ```

mod attribute;
mod compare;
mod ensemble;
mod model;
mod operators;
mod runtime;
mod tensor;
mod trees;
mod unified;
mod votes;
mod wire;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use self::model::{Graph, Kind};
use self::tensor::Elem;
use crate::error::{Error, Result, shown};
use crate::forest::{Forest, MAX_FEATURES};

pub(crate) use self::runtime::{RuntimeModel, prepare};

/// What a model says about itself.
#[derive(Debug)]
pub(crate) struct Model {
    /// Its trees, where it is nothing but a tree ensemble that our own kernel takes.
    pub(crate) forest: Option<Forest>,
    /// How many nodes its trees would have without shared ones, where that is too many for our kernel.
    pub(crate) too_shared: Option<u64>,
    /// The outputs of a row, where the file says it.
    pub(crate) n_outputs: Option<usize>,
    /// The names that it gives its outputs, where it does; numbers as text.
    pub(crate) labels: Option<Vec<String>>,
}

/// Reads and checks a model with `n_features` inputs.
pub(crate) fn read(bytes: &[u8], n_features: usize) -> Result<Model> {
    let graph = model::parse(bytes)?;
    let ends = Ends::find(&graph)?;
    if let Some(width) = ends.width.filter(|width| *width != n_features) {
        return Err(Error::invalid(
            format!("model: its input `{}` takes {width} features, the card describes {n_features}", shown(ends.input)),
            "describe the model's features in the card, in its order",
        ));
    }
    let Some(found) = ensemble::find(&graph, &ends)? else {
        // Trees inside a larger graph: ONNX Runtime gets none that we would refuse.
        ensemble::all(&graph).try_for_each(|inner| inner.read(MAX_FEATURES).map(drop))?;
        return Ok(Model { forest: None, too_shared: None, n_outputs: ends.n_scores, labels: None });
    };
    let labels = found.labels()?;
    let ensemble::Read { n_outputs, forest, too_shared } = found.read(n_features)?;
    Ok(Model { forest, too_shared, n_outputs: Some(n_outputs), labels })
}

/// Where rows go in and scores come out.
#[derive(Debug)]
struct Ends<'a> {
    input: &'a str,
    input_elem: Elem,
    /// Columns of the input, where the file says it.
    width: Option<usize>,
    /// The tensor of scores; in front of a ZipMap, what goes into it.
    scores: &'a str,
    scores_elem: Elem,
    /// Columns of the scores, where the file says it.
    n_scores: Option<usize>,
}

impl<'a> Ends<'a> {
    fn find(graph: &'a Graph<'a>) -> Result<Self> {
        let [input] = &graph.inputs[..] else {
            return Err(Error::invalid(
                format!("model: it has {} inputs", graph.inputs.len()),
                "export it with one input, a matrix with a row for each sample",
            ));
        };
        let (input_elem, width) = match &input.kind {
            Kind::Tensor { elem: Some(elem @ (Elem::Float | Elem::Double)), shape } => match shape.as_deref() {
                None => (*elem, None),
                Some([_, width]) => (*elem, width.and_then(|width| usize::try_from(width).ok())),
                Some(_) => return Err(not_a_matrix(input.name)),
            },
            _ => return Err(not_a_matrix(input.name)),
        };
        let mut scores = None;
        for output in &graph.outputs {
            let zip_map = graph.maker(output.name).filter(|node| node.op == "ZipMap");
            let found = match (&output.kind, zip_map.and_then(|node| node.inputs.first())) {
                (_, Some(zipped)) => (*zipped, Elem::Float, None),
                (Kind::Tensor { elem: Some(elem @ (Elem::Float | Elem::Double)), shape }, None) => {
                    let n_scores = match shape.as_deref() {
                        Some([_, n_scores]) => *n_scores,
                        Some([_]) => Some(1),
                        _ => None,
                    };
                    (output.name, *elem, n_scores.and_then(|n_scores| usize::try_from(n_scores).ok()))
                }
                _ => continue,
            };
            if scores.replace(found).is_some() {
                return Err(Error::invalid(
                    "model: it has several outputs with scores",
                    "export it with the probabilities, or the score, as its only output of numbers",
                ));
            }
        }
        let Some((scores, scores_elem, n_scores)) = scores else {
            return Err(Error::invalid(
                "model: none of its outputs is a tensor of float or double scores",
                "export a classifier with its probabilities, or a regressor",
            ));
        };
        Ok(Self { input: input.name, input_elem, width, scores, scores_elem, n_scores })
    }
}

fn not_a_matrix(input: &str) -> Error {
    Error::invalid(
        format!("model: its input `{}` is no matrix of float or double numbers", shown(input)),
        "export it with one input, a matrix with a row for each sample",
    )
}
