//! Random ensembles of every kind that exporters write, and that they do not: ours must score as ONNX Runtime does, or leave the
//! model to it.

use std::cell::Cell;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::read;
use super::write::Message;
use crate::card::Card;
use crate::onnxruntime::Session;

const N_FEATURES: usize = 3;

#[derive(Clone, Debug)]
struct Ensemble {
    kind: Kind,
    n_outputs: usize,
    trees: Vec<Vec<Node>>,
    post: &'static str,
    aggregate: &'static str,
    base: Vec<f32>,
    is_f64: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Classifier,
    Regressor,
    Unified,
}

/// A node of a complete tree of three splits and four leaves.
#[derive(Clone, Debug)]
struct Node {
    feature: usize,
    mode: &'static str,
    threshold: f64,
    nan_is_true: bool,
    weights: Vec<(usize, f64)>,
}

const MODES: [&str; 4] = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"];

fn threshold() -> impl Strategy<Value = f64> {
    prop_oneof![-2.0..2.0, Just(0.0), Just(-0.0), (-4..4).prop_map(f64::from), Just(0.1), Just(1e-40)]
}

/// Which outputs the leaves name, and whether weights may be negative.
fn node(outputs: Vec<usize>, lowest: f64, same_mode: &'static str) -> impl Strategy<Value = Node> {
    let weights = outputs.iter().map(|_| lowest..1.0_f64).collect::<Vec<_>>();
    (0..N_FEATURES, threshold(), any::<bool>(), weights, 0..MODES.len(), any::<bool>()).prop_map(
        move |(feature, threshold, nan_is_true, weights, mode, mixes)| Node {
            feature,
            mode: if mixes { same_mode } else { MODES[mode] },
            threshold,
            nan_is_true,
            weights: outputs.iter().copied().zip(weights).collect(),
        },
    )
}

fn ensemble() -> impl Strategy<Value = Ensemble> {
    let kind = prop_oneof![Just(Kind::Classifier), Just(Kind::Regressor), Just(Kind::Unified)];
    let post = prop_oneof![Just("NONE"), Just("LOGISTIC"), Just("SOFTMAX")];
    let aggregate = prop_oneof![Just("SUM"), Just("AVERAGE")];
    (kind, 1..4_usize, 0..4_usize, any::<bool>(), post, aggregate, 0..3_usize, any::<bool>()).prop_flat_map(
        |(kind, n_outputs, named, is_positive, post, aggregate, base, is_f64)| {
            let n_outputs = if kind == Kind::Classifier { n_outputs.max(2) } else { n_outputs };
            let outputs = match (kind, named) {
                (Kind::Unified, _) => vec![named % n_outputs],
                (_, 0) => vec![0],
                (_, 1) => vec![n_outputs - 1],
                _ => (0..n_outputs).collect(),
            };
            let lowest = if is_positive { 0.0 } else { -1.0 };
            let n_base = match (base, kind) {
                (0, _) | (_, Kind::Unified) => 0,
                (1, Kind::Classifier) if n_outputs == 2 => 1,
                _ => n_outputs,
            };
            let tree = prop::collection::vec(node(outputs, lowest, "BRANCH_LEQ"), 7);
            (prop::collection::vec(tree, 1..5), prop::collection::vec(-1.0_f32..1.0, n_base))
                .prop_map(move |(trees, base)| Ensemble { kind, n_outputs, trees, post, aggregate, base, is_f64 })
        },
    )
}

fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> Message {
    Message::default().bytes(1, name).ints(8, values.into_iter().map(|value| value as i64)).int(20, 7)
}

fn text(name: &str, value: &str) -> Message {
    Message::default().bytes(1, name).bytes(4, value).int(20, 3)
}

fn int(name: &str, value: usize) -> Message {
    Message::default().bytes(1, name).int(3, value as i64).int(20, 2)
}

fn tensor(name: &str, elem: i64, len: usize, raw: Vec<u8>) -> Message {
    let tensor = Message::default().ints(1, [len as i64]).int(2, elem).bytes(8, "t").bytes(9, raw);
    Message::default().bytes(1, name).message(5, &tensor).int(20, 4)
}

impl Ensemble {
    fn numbers(&self, name: &str, values: &[f64]) -> Message {
        if self.is_f64 {
            let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let name = if self.kind == Kind::Unified { name.to_owned() } else { format!("{name}_as_tensor") };
            return tensor(&name, 11, values.len(), raw);
        }
        let raw: Vec<u8> = values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect();
        if self.kind == Kind::Unified {
            return tensor(name, 1, values.len(), raw);
        }
        Message::default().bytes(1, name).bytes(7, raw).int(20, 6)
    }

    fn onnx(&self) -> Vec<u8> {
        let (op, outputs): (_, &[&str]) = match self.kind {
            Kind::Classifier => ("TreeEnsembleClassifier", &["label", "scores"]),
            Kind::Regressor => ("TreeEnsembleRegressor", &["scores"]),
            Kind::Unified => ("TreeEnsemble", &["scores"]),
        };
        let attributes = if self.kind == Kind::Unified { self.unified() } else { self.listed() };
        let node = Message::default().bytes(1, "x");
        let node = outputs.iter().fold(node, |node, output| node.bytes(2, output)).bytes(4, op).bytes(7, "ai.onnx.ml");
        let node = attributes.iter().fold(node, |node, attribute| node.message(5, attribute));
        let elem = if self.is_f64 { 11 } else { 1 };
        let scores = if self.kind == Kind::Unified { elem } else { 1 };
        let graph = Message::default()
            .message(1, &node)
            .bytes(2, "g")
            .message(11, &matrix("x", elem, N_FEATURES))
            .message(12, &matrix("scores", scores, self.n_outputs));
        let ml = if self.kind == Kind::Unified { 5 } else { 3 };
        Message::default()
            .int(1, 8)
            .message(7, &graph)
            .message(8, &Message::default().bytes(1, "ai.onnx.ml").int(2, ml))
            .message(8, &Message::default().bytes(1, "").int(2, 17))
            .finish()
    }

    /// The layout of ai.onnx.ml 3. Nodes 0 to 2 split, 3 to 6 are leaves.
    fn listed(&self) -> Vec<Message> {
        let all =
            || self.trees.iter().enumerate().flat_map(|(tree, nodes)| (0..nodes.len()).map(move |node| (tree, node)));
        let child = |node: usize, side: usize| if node < 3 { 2 * node + side } else { 0 };
        let at = |(tree, node): (usize, usize)| &self.trees[tree][node];
        let modes = all().fold(Message::default().bytes(1, "nodes_modes"), |message, node| {
            message.bytes(9, if node.1 < 3 { at(node).mode } else { "LEAF" })
        });
        let kind = if self.kind == Kind::Classifier { "class" } else { "target" };
        let weights: Vec<(usize, usize, usize, f64)> = all()
            .filter(|(_, node)| 3 <= *node)
            .flat_map(|node| at(node).weights.iter().map(move |(output, weight)| (node.0, node.1, *output, *weight)))
            .collect();
        let mut attributes = vec![
            ints("nodes_treeids", all().map(|(tree, _)| tree)),
            ints("nodes_nodeids", all().map(|(_, node)| node)),
            ints("nodes_featureids", all().map(|node| at(node).feature)),
            ints("nodes_truenodeids", all().map(|(_, node)| child(node, 1))),
            ints("nodes_falsenodeids", all().map(|(_, node)| child(node, 2))),
            ints("nodes_missing_value_tracks_true", all().map(|node| usize::from(at(node).nan_is_true))),
            modes.int(20, 8),
            self.numbers("nodes_values", &all().map(|node| at(node).threshold).collect::<Vec<_>>()),
            ints(&format!("{kind}_treeids"), weights.iter().map(|weight| weight.0)),
            ints(&format!("{kind}_nodeids"), weights.iter().map(|weight| weight.1)),
            ints(&format!("{kind}_ids"), weights.iter().map(|weight| weight.2)),
            self.numbers(&format!("{kind}_weights"), &weights.iter().map(|weight| weight.3).collect::<Vec<_>>()),
            text("post_transform", self.post),
        ];
        if !self.base.is_empty() {
            let base: Vec<f64> = self.base.iter().copied().map(f64::from).collect();
            attributes.push(self.numbers("base_values", &base));
        }
        if self.kind == Kind::Classifier {
            attributes.push(ints("classlabels_int64s", 0..self.n_outputs));
        } else {
            attributes.push(int("n_targets", self.n_outputs));
            attributes.push(text("aggregate_function", self.aggregate));
        }
        attributes
    }

    /// The layout of ai.onnx.ml 5: splits and leaves are counted separately through all trees.
    fn unified(&self) -> Vec<Message> {
        let splits: Vec<&Node> = self.trees.iter().flat_map(|nodes| &nodes[..3]).collect();
        let leaves: Vec<&Node> = self.trees.iter().flat_map(|nodes| &nodes[3..]).collect();
        let child = |at: usize, side: usize| match at % 3 {
            0 => at + side,
            inner => at / 3 * 4 + 2 * (inner - 1) + side - 1,
        };
        let is_leaf = |at: usize| usize::from(!at.is_multiple_of(3));
        let mode = |node: &Node| MODES.iter().position(|mode| *mode == node.mode).unwrap() as u8;
        let post = ["NONE", "SOFTMAX", "LOGISTIC"].iter().position(|post| *post == self.post).unwrap();
        vec![
            ints("tree_roots", (0..self.trees.len()).map(|tree| 3 * tree)),
            ints("nodes_featureids", splits.iter().map(|node| node.feature)),
            ints("nodes_truenodeids", (0..splits.len()).map(|at| child(at, 1))),
            ints("nodes_falsenodeids", (0..splits.len()).map(|at| child(at, 2))),
            ints("nodes_trueleafs", (0..splits.len()).map(is_leaf)),
            ints("nodes_falseleafs", (0..splits.len()).map(is_leaf)),
            ints("nodes_missing_value_tracks_true", splits.iter().map(|node| usize::from(node.nan_is_true))),
            tensor("nodes_modes", 2, splits.len(), splits.iter().map(|node| mode(node)).collect()),
            self.numbers("nodes_splits", &splits.iter().map(|node| node.threshold).collect::<Vec<_>>()),
            ints("leaf_targetids", leaves.iter().map(|node| node.weights[0].0)),
            self.numbers("leaf_weights", &leaves.iter().map(|node| node.weights[0].1).collect::<Vec<_>>()),
            int("n_targets", self.n_outputs),
            int("post_transform", post),
            int("aggregate_function", usize::from(self.aggregate == "SUM")),
        ]
    }
}

fn matrix(name: &str, elem: i64, n_columns: usize) -> Message {
    let shape = Message::default()
        .message(1, &Message::default().bytes(2, "n"))
        .message(1, &Message::default().int(1, n_columns as i64));
    let kind = Message::default().message(1, &Message::default().int(1, elem).message(2, &shape));
    Message::default().bytes(1, name).message(2, &kind)
}

fn card(n_outputs: usize) -> Card {
    let classes: Vec<String> = (0..n_outputs.max(2)).map(|class| format!("\"c{class}\"")).collect();
    let features: String = (0..N_FEATURES)
        .map(|f| format!("[[features]]\nname = \"x{f}\"\nunit = \"1\"\ndescription = \"d\"\n"))
        .collect();
    let text = format!(
        "format = 1\nname = \"m\"\nversion = \"1\"\ndescription = \"d\"\nmodel = \"m.onnx\"\nsha256 = \"{}\"\n\
         classes = [{}]\npositive = \"c0\"\nthreshold = 0.5\nnot_finite = \"model\"\ntolerance = 0\n\
         [training]\ndate = \"2026-11-21\"\ndata = [\"d\"]\ntrainer = \"t\"\ncommand = \"c\"\n{features}\
         [[golden]]\nfeatures = [0, 0, 0]\nscore = 0\n",
        "0".repeat(64),
        classes.join(", "),
    );
    Card::parse(&text).unwrap()
}

/// Where `make setup` puts the library, or what the environment names.
#[expect(clippy::disallowed_methods, reason = "a test has no command line that could say it")]
fn library() -> PathBuf {
    let named = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let home = PathBuf::from(std::env::var_os("HOME").expect("HOME is set"));
    named.unwrap_or_else(|| home.join(".cache/davy/onnxruntime/1.31.1/libonnxruntime.so"))
}

/// Rows around the thresholds: on them, beside them, and what is no number.
fn rows(ensemble: &Ensemble) -> Vec<Vec<f32>> {
    let mut values = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
    for node in ensemble.trees.iter().flatten() {
        let near = node.threshold as f32;
        values.extend([near, near.next_up(), near.next_down()]);
    }
    let row =
        |at: usize| (0..N_FEATURES).map(|feature| values[(at * (2 * feature + 1) + feature) % values.len()]).collect();
    (0..2 * values.len()).map(row).collect()
}

#[test]
fn ours_and_onnx_runtime_score_random_ensembles_alike() {
    let n_native = Cell::new(0);
    let config = Config { failure_persistence: None, ..Config::default() };
    let cases = config.cases;
    let mut runner = TestRunner::new(config);
    let result = runner.run(&ensemble(), |ensemble| {
        let bytes = ensemble.onnx();
        let model = read(&bytes, N_FEATURES).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let session = Session::open(&bytes, &card(ensemble.n_outputs), Some(&library()))
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let Some(forest) = model.forest else { return Ok(()) };
        n_native.set(n_native.get() + 1);
        let rows = rows(&ensemble);
        let columns: Vec<Vec<f32>> = (0..N_FEATURES).map(|f| rows.iter().map(|row| row[f]).collect()).collect();
        let columns: Vec<&[f32]> = columns.iter().map(Vec::as_slice).collect();
        let mut differing = None;
        session
            .each_row(&columns, rows.len(), |row, theirs| {
                let ours = forest.outputs(&rows[row]);
                let agrees = ours.len() == theirs.len()
                    && ours
                        .iter()
                        .zip(theirs)
                        .all(|(ours, theirs)| (ours - theirs).abs() <= 1e-6 * theirs.abs().max(1.0));
                if !agrees && differing.is_none() {
                    differing = Some(format!("row {:?}: ours {ours:?}, theirs {theirs:?}", rows[row]));
                }
            })
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        match differing {
            Some(what) => Err(TestCaseError::fail(what)),
            None => Ok(()),
        }
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert!(cases / 2 < n_native.get(), "{} of {cases} ensembles were ours to score", n_native.get());
}
