//! Packages with one thing wrong each: refused, with what it is and how to mend it. The messages are in `broken.golden`
//! (`UPDATE_GOLDEN=1` writes it).

use std::fmt::Write as _;
use std::path::Path;

use davy_forest::Error;
use davy_forest::package::{Package, sha256};
use davy_forest::scorer::Scorer;
use proptest::prelude::*;

use crate::packages::{self, native};
use crate::tiny::Attribute::{Floats, Ints, Raw, Text, Texts};
use crate::tiny::{Model, Node, Value, card, field, int, model};

/// What the card has, and what stands there instead.
const CARDS: &[(&str, &str)] = &[
    ("format = 1", "format = 2"),
    ("format = 1", "format = "),
    ("format = 1", ""),
    ("format = 1", "format = 1\ncolour = \"red\""),
    (r#"name = "tiny""#, r#"name = "Tiny""#),
    (r#"name = "tiny""#, r#"name = """#),
    (r#"version = "1.0.0""#, r#"version = " ""#),
    (r#"description = "one tree""#, r#"description = "a\u0007b""#),
    (r#"model = "model.onnx""#, r#"model = "../model.onnx""#),
    (r#"model = "model.onnx""#, r#"model = "..""#),
    (r#"sha256 = ""#, r#"sha256 = "x"#),
    (r#"classes = ["benign", "miner"]"#, r#"classes = ["miner"]"#),
    (r#"classes = ["benign", "miner"]"#, r#"classes = ["miner", "miner"]"#),
    (r#"classes = ["benign", "miner"]"#, r#"classes = ["miner", "benign"]"#),
    (r#"classes = ["benign", "miner"]"#, r#"classes = ["benign", "miner", "scanner"]"#),
    (r#"positive = "miner""#, r#"positive = "Miner""#),
    ("threshold = 0.7", "threshold = nan"),
    ("threshold = 0.7", "threshold = 7.0"),
    ("threshold = 0.7", "threshold = \"0.7\""),
    (r#"not_finite = "null""#, r#"not_finite = "zero""#),
    (r#"not_finite = "null""#, r#"not_finite = inf"#),
    ("tolerance = 1e-6", "tolerance = 0.5"),
    ("tolerance = 1e-6", "tolerance = -1"),
    (r#"width = "15m""#, r#"width = "a while""#),
    (r#"key = ["server", "port"]"#, "key = []"),
    ("rows_min = 3", "rows_min = 0"),
    ("rows_min = 3", "rows_min = -3"),
    (r#"date = "2026-11-21""#, r#"date = "2026-02-29""#),
    (r#"date = "2026-11-21""#, "date = 2026-11-21"),
    (r#"data = ["made up"]"#, "data = []"),
    (r#"trainer = "by hand""#, r#"trainer = """#),
    (r#"name = "bytes""#, r#"name = "bytes per packet""#),
    (r#"name = "packets""#, r#"name = "bytes""#),
    (r#"unit = "B""#, r#"unit = """#),
    ("edges = [1.0, 2.0]", "edges = [2.0, 1.0]"),
    ("edges = [1.0, 2.0]", ""),
    ("shares = [0.2, 0.3, 0.5]", "shares = [0.2, 0.3]"),
    ("shares = [0.2, 0.3, 0.5]", "shares = [0.2, 0.3, 0.6]"),
    ("features = [0.5, 1]", "features = [0.5]"),
    ("features = [0.5, 1]", "features = [0.5, nan]"),
    ("score = 0.25", "score = nan"),
    ("score = 0.25", "score = 0.26"),
    ("features = [0.5, 1]", "features = [0.51, 1]"),
];

type Spoil = fn(&mut Model);

const MODELS: &[(&str, Spoil)] = &[
    ("an old IR version", |m| m.ir_version = 2),
    ("an IR version of the future", |m| m.ir_version = 99),
    ("no operator sets", |m| m.opsets.clear()),
    ("an opset of the future", |m| m.opsets[0].1 = 99),
    ("an ML opset of the future", |m| m.opsets[1].1 = 6),
    ("an unknown operator set", |m| m.opsets.push(("com.microsoft", 1))),
    ("an ML operator without its set", |m| m.opsets.truncate(1)),
    ("an unknown operator", |m| m.nodes[0].op = "Loop"),
    ("an operator of another domain", |m| m.nodes[0].domain = "com.microsoft"),
    ("no inputs", |m| m.inputs.clear()),
    ("two inputs", |m| m.inputs.push(Value("y", 1, 2))),
    ("texts as input", |m| m.inputs[0].1 = 8),
    ("another number of features", |m| m.inputs[0].2 = 3),
    ("no outputs", |m| m.outputs.clear()),
    ("an output that nothing makes", |m| m.outputs[0].0 = "probabilities"),
    ("two outputs with scores", |m| m.outputs.push(Value("label", 1, 2))),
    ("an operator that reads what comes later", |m| m.nodes[0].inputs = vec!["scores"]),
    ("a value that is made twice", |m| m.nodes[0].outputs = vec!["x", "scores"]),
    ("an attribute that is there twice", |m| m.nodes[0].attributes.push(("post_transform", Text("NONE")))),
    ("an attribute without a name", |m| m.nodes[0].attributes.push(("", Text("NONE")))),
    ("a graph in an attribute", |m| m.set("body", Raw(attribute(6, &[])))),
    ("a sparse tensor in an attribute", |m| m.set("sparse", Raw(attribute(22, &[])))),
    ("an attribute of a function", |m| m.set("to", Raw(attribute(21, b"outer")))),
    ("a sparse initializer", |m| field(&mut m.graph_extra, 15, &[])),
    ("an external tensor", |m| tensor(m, &[int(1, 1), int(2, 1), int(14, 1)].concat())),
    ("a tensor of complex numbers", |m| tensor(m, &[int(1, 1), int(2, 14)].concat())),
    ("a tensor with too little data", |m| tensor(m, &[int(1, 3), int(2, 1)].concat())),
    ("a tensor with impossible dimensions", |m| tensor(m, &[int(1, i64::MAX), int(1, i64::MAX), int(2, 1)].concat())),
    ("a tensor with a negative dimension", |m| tensor(m, &[int(1, -1), int(2, 1)].concat())),
    ("a tensor in segments", |m| tensor(m, &attribute(3, &[]))),
    ("functions", |m| field(&mut m.model_extra, 25, &[])),
    ("training instructions", |m| field(&mut m.model_extra, 20, &[])),
    ("two graphs", |m| field(&mut m.model_extra, 7, &[])),
    ("a length beyond the end", |m| m.model_extra = vec![0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    ("a number that does not end", |m| m.model_extra = vec![0x08, 0xff]),
    ("a number beyond 64 bits", |m| m.model_extra = [vec![0x08], vec![0xff; 9], vec![0x02]].concat()),
    ("a field number 0", |m| m.model_extra = vec![0x00, 0x00]),
    ("a group", |m| m.model_extra = vec![0x0b]),
    ("a field of another type", |m| m.model_extra = vec![0x0a, 0x00]),
    ("a name that is not UTF-8", |m| field(&mut m.graph_extra, 11, &[0x0a, 0x01, 0xff])),
    ("no trees", |m| {
        m.nodes[0].attributes.retain(|(name, _)| !name.starts_with("nodes") && !name.starts_with("class_"));
    }),
    ("lists that differ in length", |m| m.set("nodes_values", Floats(vec![0.5]))),
    ("an unknown mode", |m| m.set("nodes_modes", Texts(vec!["BRANCH_MAYBE", "LEAF", "LEAF"]))),
    ("an unknown transform", |m| m.set("post_transform", Text("TANH"))),
    ("a node that leads to itself", |m| m.set("nodes_truenodeids", Ints(vec![0, 0, 0]))),
    ("a child that is not there", |m| m.set("nodes_truenodeids", Ints(vec![7, 0, 0]))),
    ("a negative child", |m| m.set("nodes_truenodeids", Ints(vec![-1, 0, 0]))),
    ("a huge id", |m| m.set("nodes_truenodeids", Ints(vec![i64::MAX, 0, 0]))),
    ("two nodes of one id", |m| m.set("nodes_nodeids", Ints(vec![0, 1, 1]))),
    ("a node that nothing leads to", |m| m.set("nodes_modes", Texts(vec!["LEAF", "LEAF", "LEAF"]))),
    ("trees that are mixed up", |m| m.set("nodes_treeids", Ints(vec![0, 1, 0]))),
    ("a feature that is not there", |m| m.set("nodes_featureids", Ints(vec![2, 0, 0]))),
    ("a threshold that is no number", |m| m.set("nodes_values", Floats(vec![f32::NAN, 0.0, 0.0]))),
    ("a weight that is no number", |m| m.set("class_weights", Floats(vec![f32::NAN, 0.0, 0.0, 1.0]))),
    ("a leaf without weight", |m| {
        m.set("class_treeids", Ints(vec![0, 0]));
        m.set("class_nodeids", Ints(vec![1, 1]));
        m.set("class_ids", Ints(vec![0, 1]));
        m.set("class_weights", Floats(vec![0.5, 0.5]));
    }),
    ("a weight for a split", |m| m.set("class_nodeids", Ints(vec![0, 1, 2, 2]))),
    ("a weight for a tree that is not there", |m| m.set("class_treeids", Ints(vec![0, 0, 0, 1]))),
    ("a weight for a class that is not there", |m| m.set("class_ids", Ints(vec![0, 1, 0, 2]))),
    ("two weights for one class", |m| {
        m.set("class_nodeids", Ints(vec![1, 1, 2, 1]));
        m.set("class_ids", Ints(vec![0, 1, 0, 1]));
    }),
    ("weights that differ in length", |m| m.set("class_ids", Ints(vec![0]))),
    ("too many base values", |m| m.set("base_values", Floats(vec![0.0; 3]))),
    ("a base value that is no number", |m| {
        m.set("class_ids", Ints(vec![0, 0]));
        m.set("class_treeids", Ints(vec![0, 0]));
        m.set("class_nodeids", Ints(vec![1, 2]));
        m.set("class_weights", Floats(vec![0.5, 1.0]));
        m.set("base_values", Floats(vec![f32::INFINITY]));
    }),
    ("other class names", |m| m.set("classlabels_strings", Texts(vec!["good", "bad"]))),
    ("another number of classes", |m| m.set("classlabels_strings", Texts(vec!["benign", "miner", "scanner"]))),
    ("another threshold", |m| m.set("nodes_values", Floats(vec![0.4, 0.0, 0.0]))),
    ("a model for ONNX Runtime alone", |m| m.set("nodes_modes", Texts(vec!["BRANCH_EQ", "LEAF", "LEAF"]))),
    ("a linear model", |m| {
        let linear = Node { op: "LinearClassifier", attributes: vec![], ..m.nodes[0].clone() };
        m.nodes = vec![linear];
    }),
];

/// A field as bytes.
fn attribute(number: i64, bytes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    field(&mut message, number, bytes);
    message
}

fn tensor(model: &mut Model, fields: &[u8]) {
    let named = [attribute(8, b"w"), fields.to_vec()].concat();
    field(&mut model.graph_extra, 5, &named);
}

fn load(card: &str, model: &[u8]) -> Result<(), Error> {
    Scorer::new(&Package::parse(card, model.to_vec())?, &native()).map(drop)
}

#[test]
fn the_model_that_is_spoilt_below_loads() {
    let model = model().write();
    load(&card(&model), &model).unwrap();
}

#[test]
#[expect(clippy::disallowed_methods, reason = "golden files are rewritten on demand")]
fn what_is_wrong_is_said_with_its_remedy() {
    let good = model().write();
    let mut said = String::new();
    let mut say = |case: &str, result: Result<(), Error>| {
        let message = result.expect_err(case).to_string();
        writeln!(said, "{case}\n    {message}").unwrap();
    };
    for (from, to) in CARDS {
        let card = card(&good);
        assert!(card.contains(from), "{from}");
        let case = if to.is_empty() { format!("without `{from}`") } else { to.replace('\n', ", ") };
        say(&case, load(&card.replacen(from, to, 1), &good));
    }
    for (case, spoil) in MODELS {
        let mut model = model();
        spoil(&mut model);
        let model = model.write();
        say(case, load(&card(&model), &model));
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/broken.golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    assert_eq!(said, std::fs::read_to_string(&golden).unwrap());
}

#[test]
fn a_model_that_ends_early_is_refused_wherever_it_ends() {
    let model = model().write();
    for end in 0..model.len() {
        let part = &model[..end];
        let result = load(&card(part), part);
        assert!(matches!(result, Err(Error::Invalid { .. })), "{end}: {result:?}");
    }
}

/// A package whose model had some bytes changed, and maybe lost its end.
fn damaged() -> impl Strategy<Value = (Package, Vec<u8>)> {
    let names = ["boosted", "boosted_three", "forest_f64", "forest_regressor", "linear", "xgboost"];
    (0..names.len(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), 0..64_usize).prop_map(
        move |(name, changes, lost)| {
            let package = packages::open(names[name]);
            let mut model = package.model.to_vec();
            for (index, byte) in changes {
                let at = index.index(model.len());
                model[at] = byte;
            }
            // Mostly the whole of it: what ends early is refused at once.
            model.truncate(model.len() - lost.saturating_sub(32));
            (package, model)
        },
    )
}

proptest! {
    #[test]
    fn a_damaged_model_is_refused_or_scores((package, model) in damaged()) {
        let card = std::fs::read_to_string(packages::folder().join(&package.card.name).join("card.toml")).expect("a card");
        let card = card.replace(&package.card.sha256, &sha256(&model));
        match load(&card, &model) {
            Ok(()) | Err(Error::Invalid { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}
