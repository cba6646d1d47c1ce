//! `ModelProto` and `GraphProto`: one plain graph, in order, of operators that are known.

use std::collections::HashSet;

use super::attribute::Attribute;
use super::operators;
use super::tensor::{Elem, Tensor};
use super::wire::{Field, Slice, broken};
use crate::error::{Error, Result, shown};

/// Versions of the file format that are read: 3 is ONNX 1.0, 13 what ONNX Runtime 1.31 reads.
const IR_VERSIONS: std::ops::RangeInclusive<i64> = 3..=13;
/// Versions of the standard operators; 26 is the last that ONNX Runtime 1.31 knows.
const OPSETS: std::ops::RangeInclusive<i64> = 7..=26;
/// Versions of the machine-learning operators.
const ML_OPSETS: std::ops::RangeInclusive<i64> = 1..=5;
/// Far beyond any model whose operators are those of `operators.rs`.
const GRAPH_NODES_MAX: usize = 4_096;
const NODE_PARTS_MAX: usize = 256;

#[derive(Debug)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) inputs: Vec<ValueInfo<'a>>,
    pub(super) outputs: Vec<ValueInfo<'a>>,
    pub(super) initializers: Vec<Tensor<'a>>,
    /// Version of the machine-learning operators; 0 where there are none.
    pub(super) ml_opset: i64,
    /// The graph as it stands in the file.
    pub(super) slice: Slice<'a>,
}

/// An operator and what it is connected with.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) op: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// A declared input or output.
#[derive(Clone, Debug)]
pub(super) struct ValueInfo<'a> {
    pub(super) name: &'a str,
    pub(super) kind: Kind,
}

/// The type of an input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tensor; `None` for a dimension that is free, no shape where nothing is said.
    Tensor {
        elem: Option<Elem>,
        shape: Option<Vec<Option<i64>>>,
    },
    Other,
}

impl<'a> Node<'a> {
    pub(super) fn attribute(&self, name: &str) -> Option<&Attribute<'a>> {
        self.attributes.iter().find(|attribute| attribute.name == name)
    }
}

pub(super) const MODEL_GRAPH: u32 = 7;

pub(super) fn parse(bytes: &[u8]) -> Result<Graph<'_>> {
    let (mut ir_version, mut graph, mut imports) = (0, None, Vec::new());
    for field in Slice::new(bytes).fields() {
        let field = field?;
        match field.number {
            1 => ir_version = field.int("model.ir_version")?,
            MODEL_GRAPH if graph.is_some() => return Err(broken(field.offset, "the model has two graphs")),
            MODEL_GRAPH => graph = Some(field.slice("model.graph")?),
            8 if imports.len() == NODE_PARTS_MAX => {
                return Err(broken(field.offset, "the model imports too many sets of operators"));
            }
            8 => imports.push(import(field)?),
            20 => return Err(unsupported("it carries instructions for training")),
            25 => return Err(unsupported("it defines functions of its own")),
            _ => {}
        }
    }
    let Some(graph) = graph else { return Err(broken(bytes.len(), "there is no graph")) };
    if !IR_VERSIONS.contains(&ir_version) {
        return Err(Error::invalid(
            format!(
                "model: IR version {ir_version} is not known; {} to {} are",
                IR_VERSIONS.start(),
                IR_VERSIONS.end()
            ),
            "export the model again, setting `ir_version` if the exporter is newer than this build",
        ));
    }
    let (opset, ml_opset) = opsets(&imports)?;
    parse_graph(graph, opset, ml_opset)
}

fn import(field: Field<'_>) -> Result<(&str, i64)> {
    let (mut domain, mut version) = ("", 0);
    for field in field.slice("model.opset_import")?.fields() {
        let field = field?;
        match field.number {
            1 => domain = field.text("opset_import.domain")?,
            2 => version = field.int("opset_import.version")?,
            _ => {}
        }
    }
    Ok((domain, version))
}

/// The versions of the standard and of the machine-learning operators, 0 where they are not imported.
fn opsets(imports: &[(&str, i64)]) -> Result<(i64, i64)> {
    let (mut standard, mut ml) = (0, 0);
    for (domain, version) in imports {
        let (known, slot) = match *domain {
            "" | "ai.onnx" => (OPSETS, &mut standard),
            operators::ML => (ML_OPSETS, &mut ml),
            other => {
                return Err(unsupported(format!("it imports the operators of `{}`", shown(other))));
            }
        };
        if !known.contains(version) || (*slot != 0 && *slot != *version) {
            let name = if domain.is_empty() { "ai.onnx" } else { domain };
            return Err(Error::invalid(
                format!("model: opset {version} of `{name}` is not known; {} to {} are", known.start(), known.end()),
                "export the model again with `target_opset` set to one of them",
            ));
        }
        *slot = *version;
    }
    if (standard, ml) == (0, 0) {
        return Err(unsupported("it imports no set of operators"));
    }
    Ok((standard, ml))
}

fn parse_graph(slice: Slice<'_>, opset: i64, ml_opset: i64) -> Result<Graph<'_>> {
    let mut graph = Graph { nodes: vec![], inputs: vec![], outputs: vec![], initializers: vec![], ml_opset, slice };
    for field in slice.fields() {
        let field = field?;
        let n_parts = graph.nodes.len() + graph.inputs.len() + graph.outputs.len() + graph.initializers.len();
        if GRAPH_NODES_MAX <= n_parts {
            return Err(unsupported(format!(
                "its graph has more than {GRAPH_NODES_MAX} operators, inputs, outputs and tensors"
            )));
        }
        match field.number {
            1 => graph.nodes.push(parse_node(field.slice("graph.node")?)?),
            5 => graph.initializers.push(Tensor::parse(field.slice("graph.initializer")?)?),
            11 => graph.inputs.push(parse_value_info(field.slice("graph.input")?)?),
            12 => graph.outputs.push(parse_value_info(field.slice("graph.output")?)?),
            15 => return Err(unsupported("it has sparse tensors")),
            _ => {}
        }
    }
    // Before IR version 4 initialisers were declared as inputs too.
    let names: HashSet<&str> = graph.initializers.iter().map(|tensor| tensor.name).collect();
    graph.inputs.retain(|input| !names.contains(input.name));
    graph.check(opset)?;
    Ok(graph)
}

fn parse_node(slice: Slice<'_>) -> Result<Node<'_>> {
    let mut node = Node { op: "", domain: "", inputs: vec![], outputs: vec![], attributes: vec![] };
    for field in slice.fields() {
        let field = field?;
        if node.inputs.len() + node.outputs.len() + node.attributes.len() == NODE_PARTS_MAX {
            return Err(broken(
                slice.offset,
                format!("an operator has more than {NODE_PARTS_MAX} inputs, outputs and attributes"),
            ));
        }
        match field.number {
            1 => node.inputs.push(field.text("node.input")?),
            2 => node.outputs.push(field.text("node.output")?),
            4 => node.op = field.text("node.op_type")?,
            5 => {
                let attribute = Attribute::parse(field.slice("node.attribute")?)?;
                if node.attribute(attribute.name).is_some() {
                    return Err(broken(field.offset, format!("attribute `{}` is there twice", shown(attribute.name))));
                }
                node.attributes.push(attribute);
            }
            7 => node.domain = field.text("node.domain")?,
            8 if !field.slice("node.overload")?.bytes.is_empty() => {
                return Err(unsupported("it calls a function of its own"));
            }
            _ => {}
        }
    }
    if node.domain == "ai.onnx" {
        node.domain = "";
    }
    Ok(node)
}

fn parse_value_info(slice: Slice<'_>) -> Result<ValueInfo<'_>> {
    let (mut name, mut kind) = ("", Kind::Other);
    for field in slice.fields() {
        let field = field?;
        match field.number {
            1 => name = field.text("value_info.name")?,
            2 => kind = parse_kind(field.slice("value_info.type")?)?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(broken(slice.offset, "an input or output has no name"));
    }
    Ok(ValueInfo { name, kind })
}

fn parse_kind(slice: Slice<'_>) -> Result<Kind> {
    for field in slice.fields() {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        let (mut elem, mut shape) = (None, None);
        for field in field.slice("type.tensor_type")?.fields() {
            let field = field?;
            match field.number {
                1 => elem = Elem::parse(field.int("tensor_type.elem_type")?),
                2 => shape = Some(parse_shape(field.slice("tensor_type.shape")?)?),
                _ => {}
            }
        }
        return Ok(Kind::Tensor { elem, shape });
    }
    Ok(Kind::Other)
}

fn parse_shape(slice: Slice<'_>) -> Result<Vec<Option<i64>>> {
    let mut shape = Vec::new();
    for field in slice.fields() {
        let field = field?;
        if field.number != 1 {
            continue;
        }
        if shape.len() == NODE_PARTS_MAX {
            return Err(broken(field.offset, "a shape has too many dimensions"));
        }
        let mut size = None;
        for field in field.slice("shape.dim")?.fields() {
            let field = field?;
            if field.number == 1 {
                // Old exporters write 0, or -1, for a free dimension.
                size = Some(field.int("dim.dim_value")?).filter(|size| 0 < *size);
            }
        }
        shape.push(size);
    }
    Ok(shape)
}

impl Graph<'_> {
    /// Every operator is known and reads only what stands before it; every name is made once.
    fn check(&self, opset: i64) -> Result<()> {
        let mut made: HashSet<&str> = self.inputs.iter().map(|input| input.name).collect();
        made.extend(self.initializers.iter().map(|tensor| tensor.name));
        for node in &self.nodes {
            if !operators::is_known(node.domain, node.op) {
                let name =
                    if node.domain.is_empty() { node.op.to_owned() } else { format!("{}.{}", node.domain, node.op) };
                return Err(Error::invalid(
                    format!("model: operator `{}` is not supported", shown(&name)),
                    "export the model without it; udfs/forest/src/onnx/operators.rs lists those that are",
                ));
            }
            let version = if node.domain.is_empty() { opset } else { self.ml_opset };
            if version == 0 {
                return Err(unsupported(format!("it uses `{}` but does not import its set of operators", node.op)));
            }
            if let Some(missing) = node.inputs.iter().find(|input| !input.is_empty() && !made.contains(*input)) {
                return Err(disconnected(format!(
                    "operator `{}` reads `{}`, which nothing before it makes",
                    node.op,
                    shown(missing)
                )));
            }
            for output in node.outputs.iter().filter(|output| !output.is_empty()) {
                if !made.insert(output) {
                    return Err(disconnected(format!("`{}` is made twice", shown(output))));
                }
            }
        }
        match self.outputs.iter().find(|output| !made.contains(output.name)) {
            Some(output) => Err(disconnected(format!("nothing makes the output `{}`", shown(output.name)))),
            None => Ok(()),
        }
    }

    /// The operator that makes `name`.
    pub(super) fn maker(&self, name: &str) -> Option<&Node<'_>> {
        self.nodes.iter().find(|node| node.outputs.contains(&name))
    }
}

pub(super) fn unsupported(what: impl std::fmt::Display) -> Error {
    Error::invalid(
        format!("model: {what}, which is not supported"),
        "export the model as one plain graph of known operators",
    )
}

fn disconnected(what: impl std::fmt::Display) -> Error {
    Error::invalid(format!("model: {what}"), "export the model again; `onnx.checker.check_model` shows more")
}
