//! Makes the bytes that ONNX Runtime gets: the same model with its scores, as a tensor, for its only output.
//!
//! A ZipMap at the end (skl2onnx's default) would give a map for each row, and a label may be a tensor of texts; Davy
//! uses neither. ONNX Runtime drops the operators whose output is not used.

use super::Ends;
use super::model::{self, MODEL_GRAPH};
use super::tensor::Elem;
use super::wire::Slice;
use super::write::Message;
use crate::error::Result;

/// A model as ONNX Runtime gets it.
#[derive(Debug)]
pub(crate) struct RuntimeModel {
    pub(crate) bytes: Vec<u8>,
    /// Whether rows go in as f64.
    pub(crate) takes_f64: bool,
    /// Whether scores come out as f64.
    pub(crate) gives_f64: bool,
}

const GRAPH_NODE: u32 = 1;
const GRAPH_OUTPUT: u32 = 12;

/// Reads, checks and rewrites a model.
pub(crate) fn prepare(bytes: &[u8]) -> Result<RuntimeModel> {
    let graph = model::parse(bytes)?;
    let ends = Ends::find(&graph)?;
    let mut kept = Message::default();
    let mut nodes = graph.nodes.iter();
    for field in graph.slice.fields() {
        let field = field?;
        let is_zip_map = field.number == GRAPH_NODE && nodes.next().is_some_and(|node| node.op == "ZipMap");
        if !is_zip_map && field.number != GRAPH_OUTPUT {
            kept = kept.raw(field.raw);
        }
    }
    let elem = if ends.scores_elem == Elem::Double { 11 } else { 1 };
    let kind = Message::default().message(1, &Message::default().int(1, elem));
    let kept = kept.message(GRAPH_OUTPUT, &Message::default().bytes(1, ends.scores).message(2, &kind));
    let mut whole = Message::default();
    for field in Slice::new(bytes).fields() {
        let field = field?;
        whole = if field.number == MODEL_GRAPH { whole.message(MODEL_GRAPH, &kept) } else { whole.raw(field.raw) };
    }
    Ok(RuntimeModel {
        bytes: whole.finish(),
        takes_f64: ends.input_elem == Elem::Double,
        gives_f64: ends.scores_elem == Elem::Double,
    })
}
