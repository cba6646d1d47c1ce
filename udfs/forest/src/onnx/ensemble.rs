//! Finds the operator of a tree ensemble and reads its attributes.
//!
//! A graph is a forest when its scores come out of one such operator, and its input goes into it, through nothing but casts
//! between float and double and identities. What else the graph makes, such as a label, is not looked at.
//!
//! Where the specification leaves room, the reading is ONNX Runtime's (`tree_ensemble_attribute.h`): the same scores must come
//! out of both backends. What it does strangely is left to it, see [`Ensemble::read`].

use super::attribute::Attribute;
use super::compare::Mode;
use super::model::{Graph, Node};
use super::trees::{Listing, Weights};
use super::{Ends, unified, votes};
use crate::error::{Error, Result, shown};
use crate::forest::{Combine, Forest, MAX_OUTPUTS, Parts, Transform};

/// The operator of a tree ensemble.
#[derive(Debug)]
pub(super) struct Ensemble<'a> {
    node: &'a Node<'a>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Classifier,
    Regressor,
    /// TreeEnsemble of ai.onnx.ml 5.
    Unified,
}

/// What an ensemble says, whatever its layout.
#[derive(Debug)]
pub(super) struct Described {
    pub(super) n_outputs: usize,
    pub(super) post: Post,
    /// `None` where only ONNX Runtime knows how.
    pub(super) combine: Option<Combine>,
    pub(super) base: Vec<f64>,
    pub(super) listing: Listing,
    pub(super) weights: Weights,
}

/// An ensemble as far as our kernel takes it.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) n_outputs: usize,
    pub(super) forest: Option<Forest>,
    /// See [`super::trees::Grown::too_shared`].
    pub(super) too_shared: Option<u64>,
}

/// What is done to the sums, as the file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Post {
    None,
    Logistic,
    Softmax,
    /// Known, but only to ONNX Runtime.
    Other,
}

/// All ensembles of a graph.
pub(super) fn all<'a>(graph: &'a Graph<'a>) -> impl Iterator<Item = Ensemble<'a>> {
    graph.nodes.iter().filter_map(|node| {
        let kind = match node.op {
            "TreeEnsembleClassifier" => Kind::Classifier,
            "TreeEnsembleRegressor" => Kind::Regressor,
            "TreeEnsemble" => Kind::Unified,
            _ => return None,
        };
        Some(Ensemble { node, kind })
    })
}

/// Finds the ensemble that the scores come from.
pub(super) fn find<'a>(graph: &'a Graph<'a>, ends: &Ends<'a>) -> Result<Option<Ensemble<'a>>> {
    let scores = behind_casts(graph, ends.scores)?;
    let Some(ensemble) = all(graph).find(|ensemble| ensemble.scores() == Some(&scores)) else { return Ok(None) };
    let [input] = ensemble.node.inputs[..] else { return Ok(None) };
    let reads_the_input = behind_casts(graph, input)? == ends.input;
    Ok(reads_the_input.then_some(ensemble))
}

/// Follows a value back through casts between float and double and identities.
fn behind_casts<'a>(graph: &'a Graph<'a>, mut name: &'a str) -> Result<&'a str> {
    while let Some(node) = graph.maker(name) {
        let passes = match node.op {
            "Identity" => true,
            "Cast" => matches!(node.attribute("to").map(Attribute::int).transpose()?, Some(1 | 11)),
            _ => false,
        };
        match node.inputs.first() {
            Some(input) if passes => name = input,
            _ => break,
        }
    }
    Ok(name)
}

impl<'a> Ensemble<'a> {
    /// The output that holds the scores.
    fn scores(&self) -> Option<&&'a str> {
        self.node.outputs.get(usize::from(self.kind == Kind::Classifier))
    }

    /// The names of a classifier's classes.
    pub(super) fn labels(&self) -> Result<Option<Vec<String>>> {
        if self.kind != Kind::Classifier {
            return Ok(None);
        }
        let texts = self.node.attribute("classlabels_strings");
        let numbers = self.node.attribute("classlabels_int64s");
        // Counted before they are kept: a text takes many times the memory of its bytes.
        let n_texts = texts.map_or(Ok(0), |texts| Ok(texts.texts(|_| Some(()))?.len()))?;
        let n_numbers = numbers.map_or(Ok(0), |numbers| Ok(numbers.ints(|_| Some(()))?.len()))?;
        if MAX_OUTPUTS < n_texts.max(n_numbers) {
            return Err(self.refused(format!("it has more than {MAX_OUTPUTS} classes")));
        }
        match (texts, numbers) {
            (Some(texts), _) if 0 < n_texts => texts.texts(|text| Some(text.to_owned())).map(Some),
            (_, Some(numbers)) => numbers.ints(|number| Some(number.to_string())).map(Some),
            _ => Ok(None),
        }
    }

    /// Reads and checks everything.
    ///
    /// No forest, only ONNX Runtime can score these: comparisons other than `<=`, `<`, `>=` and `>`; MIN and MAX; PROBIT and
    /// SOFTMAX_ZERO; classifiers with one class; two classes with two base values (ONNX Runtime then adds the second to the
    /// first's score), with one where the leaves name only the second class (it is not added at all), or with leaves of which
    /// some name one class and some two (the row decides what its score means); regressors with base values and outputs that
    /// some rows get no weight for (it is added only where there is one).
    pub(super) fn read(&self, n_features: usize) -> Result<Read> {
        let n_outputs = self.n_outputs()?;
        let described = match self.kind {
            Kind::Unified => unified::describe(self.node, n_outputs)?,
            Kind::Classifier | Kind::Regressor => self.describe(n_outputs)?,
        };
        self.build(described, n_features)
    }

    /// Builds the trees in any case, so that ONNX Runtime gets none that we would refuse.
    fn build(&self, described: Described, n_features: usize) -> Result<Read> {
        let Described { n_outputs, post, combine, mut base, listing, weights } = described;
        let is_classifier = self.kind == Kind::Classifier;
        let is_pair = is_classifier && n_outputs == 2;
        if !(base.is_empty() || base.len() == n_outputs || (is_pair && base.len() == 1)) {
            return Err(self.refused(format!("`base_values` has {} values for {n_outputs} outputs", base.len())));
        }
        let (n_base, grown) = (base.len(), listing.grow(&weights, n_outputs)?);
        if let (Kind::Unified, Some(n_nodes)) = (self.kind, grown.too_shared) {
            // ONNX Runtime takes no shared node of this operator.
            return Err(self.refused(format!(
                "with a copy of shared nodes for each path it has {n_nodes} nodes, which is too much"
            )));
        }
        if grown.too_shared.is_some() {
            return Ok(Read { n_outputs, forest: None, too_shared: grown.too_shared });
        }
        let is_strange = match (is_pair, &grown.used[..]) {
            (true, [false, true]) => n_base != 0,
            (true, [true, true]) => n_base == 2 || !grown.is_dense,
            (true, _) => n_base == 2,
            (false, _) if is_classifier => n_outputs == 1,
            (false, _) => n_base != 0 && 1 < n_outputs && grown.always.contains(&false),
        };
        base.resize(n_outputs, 0.0);
        let mut parts = Parts {
            n_features,
            n_outputs,
            trees: grown.trees,
            combine: combine.unwrap_or(Combine::Sum),
            base,
            transform: elementwise(post, n_outputs, is_classifier),
        };
        if is_pair && grown.used == [true, false] {
            one_column(&mut parts, post, weights.has_negative());
        }
        if is_classifier && post == Post::None {
            votes::restore(&mut parts, weights.is_f64);
        }
        let forest = Forest::new(parts)?;
        let is_ours = combine.is_some() && post != Post::Other && listing.is_comparable() && !is_strange;
        Ok(Read { n_outputs, forest: is_ours.then_some(forest), too_shared: None })
    }

    fn n_outputs(&self) -> Result<usize> {
        let n_outputs = match self.kind {
            Kind::Classifier => self.labels()?.map_or(0, |labels| labels.len()),
            Kind::Regressor | Kind::Unified => {
                let n_targets = self.node.attribute("n_targets").map_or(Ok(1), Attribute::int)?;
                usize::try_from(n_targets).unwrap_or(0)
            }
        };
        if !(1..=MAX_OUTPUTS).contains(&n_outputs) {
            return Err(self.refused(format!("it has {n_outputs} outputs, not 1 to {MAX_OUTPUTS}")));
        }
        Ok(n_outputs)
    }

    fn describe(&self, n_outputs: usize) -> Result<Described> {
        Ok(Described {
            n_outputs,
            post: self.post()?,
            combine: self.combine()?,
            base: self.numbers("base_values")?.unwrap_or_default(),
            listing: self.listing()?,
            weights: self.weights()?,
        })
    }

    fn post(&self) -> Result<Post> {
        match self.node.attribute("post_transform").map_or(Ok("NONE"), Attribute::text)? {
            "NONE" => Ok(Post::None),
            "LOGISTIC" => Ok(Post::Logistic),
            "SOFTMAX" => Ok(Post::Softmax),
            "SOFTMAX_ZERO" | "PROBIT" => Ok(Post::Other),
            other => Err(self.refused(format!("`post_transform` is `{}`", shown(other)))),
        }
    }

    fn combine(&self) -> Result<Option<Combine>> {
        if self.kind == Kind::Classifier {
            return Ok(Some(Combine::Sum));
        }
        match self.node.attribute("aggregate_function").map_or(Ok("SUM"), Attribute::text)? {
            "SUM" => Ok(Some(Combine::Sum)),
            "AVERAGE" => Ok(Some(Combine::Mean)),
            "MIN" | "MAX" => Ok(None),
            other => Err(self.refused(format!("`aggregate_function` is `{}`", shown(other)))),
        }
    }

    fn listing(&self) -> Result<Listing> {
        let listing = Listing {
            tree_ids: ids(self.node, "nodes_treeids")?,
            node_ids: ids(self.node, "nodes_nodeids")?,
            features: ids(self.node, "nodes_featureids")?,
            modes: self.node.attribute("nodes_modes").map_or(Ok(vec![]), |attribute| attribute.texts(Mode::parse))?,
            true_ids: ids(self.node, "nodes_truenodeids")?,
            false_ids: ids(self.node, "nodes_falsenodeids")?,
            values: self.numbers("nodes_values")?.unwrap_or_default(),
            nan_is_true: match self.node.attribute("nodes_missing_value_tracks_true") {
                Some(attribute) => attribute.ints(|flag| Some(flag == 1))?,
                None => vec![],
            },
            covers: self.numbers("nodes_hitrates")?.unwrap_or_default(),
        };
        let n_nodes = listing.tree_ids.len();
        let lengths = [
            ("nodes_nodeids", listing.node_ids.len()),
            ("nodes_featureids", listing.features.len()),
            ("nodes_modes", listing.modes.len()),
            ("nodes_truenodeids", listing.true_ids.len()),
            ("nodes_falsenodeids", listing.false_ids.len()),
            ("nodes_values", listing.values.len()),
        ];
        match lengths.iter().find(|(_, length)| *length != n_nodes) {
            Some((name, length)) => {
                Err(self.refused(format!("`{name}` has {length} entries, `nodes_treeids` {n_nodes}")))
            }
            None => Ok(listing),
        }
    }

    fn weights(&self) -> Result<Weights> {
        let kind = if self.kind == Kind::Classifier { "class" } else { "target" };
        let values = self.numbers(&format!("{kind}_weights"))?.unwrap_or_default();
        let weights = Weights {
            tree_ids: ids(self.node, &format!("{kind}_treeids"))?,
            node_ids: ids(self.node, &format!("{kind}_nodeids"))?,
            outputs: ids(self.node, &format!("{kind}_ids"))?,
            is_f64: self.node.attribute(&format!("{kind}_weights_as_tensor")).is_some(),
            values,
        };
        let n_weights = weights.values.len();
        if [weights.tree_ids.len(), weights.node_ids.len(), weights.outputs.len()] != [n_weights; 3] {
            return Err(self.refused(format!("`{kind}_treeids`, `_nodeids`, `_ids` and `_weights` differ in length")));
        }
        Ok(weights)
    }

    /// Floats, or doubles in a tensor beside them.
    fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let floats = self.node.attribute(name).map(Attribute::floats).transpose()?.filter(|floats| !floats.is_empty());
        let doubles = self
            .node
            .attribute(&format!("{name}_as_tensor"))
            .map(|attribute| attribute.tensor()?.numbers())
            .transpose()?;
        match (floats, doubles) {
            (Some(_), Some(_)) => Err(self.refused(format!("`{name}` and `{name}_as_tensor` are both there"))),
            (Some(floats), None) => Ok(Some(floats.into_iter().map(f64::from).collect())),
            (None, doubles) => Ok(doubles),
        }
    }

    fn refused(&self, what: impl std::fmt::Display) -> Error {
        Error::invalid(format!("model: {}: {what}", self.node.op), "export the model again from the trainer")
    }
}

/// Ids; a negative one, which leaves may have for their children, becomes one that no node has.
pub(super) fn ids(node: &Node<'_>, name: &str) -> Result<Vec<u32>> {
    let convert = |id: i64| if id < 0 { Some(u32::MAX) } else { u32::try_from(id).ok().filter(|id| *id < u32::MAX) };
    node.attribute(name).map_or(Ok(vec![]), |attribute| attribute.ints(convert))
}

/// Two classes of which the leaves name only the first, whose sum `x` then is the score of the second. ONNX Runtime gives its
/// logistic and what is left of 1; without that `[1 - x, x]` where no weight is negative, else `[-x, x]`. (SOFTMAX counts as no
/// transform there, and before 1.31 so did LOGISTIC where no weight is negative.)
fn one_column(parts: &mut Parts, post: Post, has_negative: bool) {
    parts.transform = match (has_negative, post) {
        (_, Post::Logistic) => Transform::LogisticComplement,
        (false, _) => Transform::Complement,
        (true, _) => Transform::Identity,
    };
    for pair in parts.trees.iter_mut().flat_map(|tree| tree.leaf_values.chunks_exact_mut(2)) {
        pair[1] = pair[0];
        pair[0] = -pair[1];
    }
    parts.base[1] = parts.base[0];
    parts.base[0] = -parts.base[1];
}

/// ONNX Runtime applies no transform to the score of a regressor with one output.
fn elementwise(post: Post, n_outputs: usize, is_classifier: bool) -> Transform {
    match post {
        _ if n_outputs == 1 && !is_classifier => Transform::Identity,
        Post::Logistic => Transform::Logistic,
        Post::Softmax => Transform::Softmax,
        Post::None | Post::Other => Transform::Identity,
    }
}
