//! A model of one tree, as data that a case may spoil before it is written as ONNX.

use davy_forest::package::sha256;

#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) ir_version: i64,
    pub(crate) opsets: Vec<(&'static str, i64)>,
    pub(crate) inputs: Vec<Value>,
    pub(crate) outputs: Vec<Value>,
    pub(crate) nodes: Vec<Node>,
    /// Fields added to the graph as they are.
    pub(crate) graph_extra: Vec<u8>,
    /// Fields added to the model as they are.
    pub(crate) model_extra: Vec<u8>,
}

/// A matrix that goes in or comes out: its name, the code of its element type and its columns.
#[derive(Clone)]
pub(crate) struct Value(pub(crate) &'static str, pub(crate) i64, pub(crate) i64);

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) op: &'static str,
    pub(crate) domain: &'static str,
    pub(crate) inputs: Vec<&'static str>,
    pub(crate) outputs: Vec<&'static str>,
    pub(crate) attributes: Vec<(&'static str, Attribute)>,
}

#[derive(Clone)]
pub(crate) enum Attribute {
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<&'static str>),
    Text(&'static str),
    /// A field of the attribute as it is.
    Raw(Vec<u8>),
}

use Attribute::{Floats, Ints, Raw, Text, Texts};

/// `x0 <= 0.5` is benign with a vote of 0.75, anything else a miner.
pub(crate) fn model() -> Model {
    let attributes = vec![
        ("nodes_treeids", Ints(vec![0, 0, 0])),
        ("nodes_nodeids", Ints(vec![0, 1, 2])),
        ("nodes_featureids", Ints(vec![0, 0, 0])),
        ("nodes_modes", Texts(vec!["BRANCH_LEQ", "LEAF", "LEAF"])),
        ("nodes_truenodeids", Ints(vec![1, 0, 0])),
        ("nodes_falsenodeids", Ints(vec![2, 0, 0])),
        ("nodes_values", Floats(vec![0.5, 0.0, 0.0])),
        ("class_treeids", Ints(vec![0, 0, 0, 0])),
        ("class_nodeids", Ints(vec![1, 1, 2, 2])),
        ("class_ids", Ints(vec![0, 1, 0, 1])),
        ("class_weights", Floats(vec![0.75, 0.25, 0.0, 1.0])),
        ("classlabels_strings", Texts(vec!["benign", "miner"])),
        ("post_transform", Text("NONE")),
    ];
    let ensemble = Node {
        op: "TreeEnsembleClassifier",
        domain: "ai.onnx.ml",
        inputs: vec!["x"],
        outputs: vec!["label", "scores"],
        attributes,
    };
    Model {
        ir_version: 8,
        opsets: vec![("", 17), ("ai.onnx.ml", 3)],
        inputs: vec![Value("x", 1, 2)],
        outputs: vec![Value("scores", 1, 2)],
        nodes: vec![ensemble],
        graph_extra: vec![],
        model_extra: vec![],
    }
}

impl Model {
    /// Gives the ensemble's attribute another value, or adds it.
    pub(crate) fn set(&mut self, name: &'static str, value: Attribute) {
        let attributes = &mut self.nodes[0].attributes;
        attributes.retain(|attribute| attribute.0 != name);
        attributes.push((name, value));
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        self.nodes.iter().for_each(|node| field(&mut graph, 1, &node.write()));
        self.inputs.iter().for_each(|value| field(&mut graph, 11, &value.write()));
        self.outputs.iter().for_each(|value| field(&mut graph, 12, &value.write()));
        graph.extend(&self.graph_extra);
        let mut model = int(1, self.ir_version);
        field(&mut model, 7, &graph);
        for (domain, version) in &self.opsets {
            let mut import = int(2, *version);
            field(&mut import, 1, domain.as_bytes());
            field(&mut model, 8, &import);
        }
        model.extend(&self.model_extra);
        model
    }
}

impl Value {
    fn write(&self) -> Vec<u8> {
        let (mut shape, mut tensor, mut kind, mut value) = (vec![], int(1, self.1), vec![], vec![]);
        field(&mut shape, 1, &[]);
        field(&mut shape, 1, &int(1, self.2));
        field(&mut tensor, 2, &shape);
        field(&mut kind, 1, &tensor);
        field(&mut value, 1, self.0.as_bytes());
        field(&mut value, 2, &kind);
        value
    }
}

impl Node {
    fn write(&self) -> Vec<u8> {
        let mut node = Vec::new();
        self.inputs.iter().for_each(|name| field(&mut node, 1, name.as_bytes()));
        self.outputs.iter().for_each(|name| field(&mut node, 2, name.as_bytes()));
        field(&mut node, 4, self.op.as_bytes());
        field(&mut node, 7, self.domain.as_bytes());
        for (name, value) in &self.attributes {
            let mut attribute = Vec::new();
            field(&mut attribute, 1, name.as_bytes());
            if let Some(code) = value.code() {
                attribute.extend(int(20, code));
            }
            match value {
                Ints(values) => {
                    field(&mut attribute, 8, &values.iter().flat_map(|value| varint(*value)).collect::<Vec<_>>());
                }
                Floats(values) => {
                    field(&mut attribute, 7, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>());
                }
                Texts(values) => values.iter().for_each(|value| field(&mut attribute, 9, value.as_bytes())),
                Text(value) => field(&mut attribute, 4, value.as_bytes()),
                Raw(bytes) => attribute.extend(bytes),
            }
            field(&mut node, 5, &attribute);
        }
        node
    }
}

impl Attribute {
    /// Its type, which ONNX Runtime wants; a raw one says it itself.
    fn code(&self) -> Option<i64> {
        match self {
            Text(_) => Some(3),
            Floats(_) => Some(6),
            Ints(_) => Some(7),
            Texts(_) => Some(8),
            Raw(_) => None,
        }
    }
}

/// Appends a field with a length.
pub(crate) fn field(message: &mut Vec<u8>, number: i64, bytes: &[u8]) {
    message.extend(varint(number << 3 | 2));
    message.extend(varint(bytes.len() as i64));
    message.extend(bytes);
}

/// A field with a number.
pub(crate) fn int(number: i64, value: i64) -> Vec<u8> {
    [varint(number << 3), varint(value)].concat()
}

fn varint(value: i64) -> Vec<u8> {
    let (mut rest, mut bytes) = (value.cast_unsigned(), Vec::new());
    while 0x80 <= rest {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A card for a model.
pub(crate) fn card(model: &[u8]) -> String {
    CARD.replace("SHA256", &sha256(model))
}

const CARD: &str = r#"format = 1
name = "tiny"
version = "1.0.0"
description = "one tree"
license = "Apache-2.0"
model = "model.onnx"
sha256 = "SHA256"
classes = ["benign", "miner"]
positive = "miner"
threshold = 0.7
not_finite = "null"
tolerance = 1e-6

[window]
width = "15m"
key = ["server", "port"]
rows_min = 3

[training]
date = "2026-11-21"
data = ["made up"]
trainer = "by hand"
command = "cargo test"
sql = "pipelines/features.sql"

[evaluation]
held_out_f1 = 0.97
by_source = { lab = 0.9 }

[[features]]
name = "bytes"
unit = "B"
description = "bytes"
edges = [1.0, 2.0]
shares = [0.2, 0.3, 0.5]

[[features]]
name = "packets"
unit = "1"
description = "packets"

[[golden]]
features = [0.5, 1]
score = 0.25

[[golden]]
features = [0.75, 1]
score = 1
"#;
