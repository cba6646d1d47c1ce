//! By which keys the partials of a windowed aggregate may be spread over tasks, given the query above the windows.
//!
//! A query that works row by row sees the same whichever task a key is in. One that brings rows together (an aggregate over a
//! window's rows, a join of two windows, OVER) must have those rows in one task: then only the keys that it brings them together by
//! may decide. Where nothing is left, everything goes to one partition, which is always right.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow::datatypes::DataType;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use super::sql_error;
use crate::error::Result;

/// A key of a placeholder.
type Key = (String, usize);

/// A placeholder: for each column of its scan the key that it is, if it is one, and the keys' types.
#[derive(Clone, Debug)]
pub(super) struct PlaceholderKeys {
    pub(super) columns: Vec<Option<usize>>,
    pub(super) types: Vec<DataType>,
}

/// Per placeholder, the keys (by index) whose values decide the partition.
pub(super) fn spread(
    plan: &LogicalPlan,
    placeholders: &HashMap<String, PlaceholderKeys>,
) -> Result<HashMap<String, Vec<usize>>> {
    let mut rules = Rules { placeholders, same: BTreeMap::new(), together: Vec::new() };
    plan.apply(|node| {
        rules.look(node);
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    Ok(rules.decide())
}

struct Rules<'a> {
    placeholders: &'a HashMap<String, PlaceholderKeys>,
    /// Keys that a join makes equal: each to the representative of its class.
    same: BTreeMap<Key, Key>,
    /// For each operator that brings rows together, by what.
    together: Vec<BTreeSet<Key>>,
}

impl Rules<'_> {
    fn look(&mut self, node: &LogicalPlan) {
        match node {
            LogicalPlan::Aggregate(node) => self.bring_together(&node.group_expr, &node.input),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                self.together.push(self.keys(input).into_iter().flatten().collect());
            }
            LogicalPlan::Window(node) => {
                for expression in &node.window_expr {
                    let mut by: &[Expr] = &[];
                    let mut call = expression;
                    while let Expr::Alias(alias) = call {
                        call = &alias.expr;
                    }
                    if let Expr::WindowFunction(call) = call {
                        by = &call.params.partition_by;
                    }
                    self.bring_together(by, &node.input);
                }
            }
            LogicalPlan::Join(node) => {
                let (left, right) = (self.keys(&node.left), self.keys(&node.right));
                let mut by = BTreeSet::new();
                let mut joined: BTreeMap<Key, Key> = BTreeMap::new();
                for (a, b) in &node.on {
                    let (Some(a), Some(b)) = (key_of(a, &node.left, &left), key_of(b, &node.right, &right)) else {
                        continue;
                    };
                    // One key that two are compared with makes those two alike, but only in rows that match.
                    let is_first = joined.get(&b).is_none_or(|other| *other == a) || node.join_type == JoinType::Inner;
                    if self.type_of(&a) == self.type_of(&b) && is_first && !joined.contains_key(&a) {
                        self.unite(&a, &b);
                        joined.insert(b.clone(), a.clone());
                        by.insert(a);
                    }
                }
                self.together.push(by);
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Unnest(_) => {}
            _ => self.together.push(BTreeSet::new()),
        }
    }

    fn bring_together(&mut self, by: &[Expr], input: &LogicalPlan) {
        let below = self.keys(input);
        self.together.push(by.iter().filter_map(|expression| key_of(expression, input, &below)).collect());
    }

    fn type_of(&self, key: &Key) -> Option<&DataType> {
        self.placeholders.get(&key.0)?.types.get(key.1)
    }

    fn unite(&mut self, a: &Key, b: &Key) {
        let (a, b) = (self.representative(a), self.representative(b));
        if a != b {
            self.same.insert(b, a);
        }
    }

    fn representative(&self, key: &Key) -> Key {
        let mut key = key;
        while let Some(next) = self.same.get(key) {
            key = next;
        }
        key.clone()
    }

    fn decide(&self) -> HashMap<String, Vec<usize>> {
        let mut all = HashMap::new();
        let mut classes: Option<BTreeSet<Key>> = None;
        for by in &self.together {
            let by: BTreeSet<Key> = by.iter().map(|key| self.representative(key)).collect();
            classes = Some(match classes {
                None => by,
                Some(known) => known.intersection(&by).cloned().collect(),
            });
        }
        let Some(classes) = classes else {
            let every = |placeholder: &PlaceholderKeys| (0..placeholder.types.len()).collect();
            return self.placeholders.iter().map(|(name, placeholder)| (name.clone(), every(placeholder))).collect();
        };
        // In the classes' order, the same for each placeholder, so that equal keys hash alike. A key that one placeholder lacks is
        // not used.
        let member = |name: &String, placeholder: &PlaceholderKeys, class: &Key| {
            (0..placeholder.types.len()).find(|&index| self.representative(&(name.clone(), index)) == *class)
        };
        let usable: Vec<&Key> = classes
            .iter()
            .filter(|class| {
                self.placeholders.iter().all(|(name, placeholder)| member(name, placeholder, class).is_some())
            })
            .collect();
        for (name, placeholder) in self.placeholders {
            all.insert(name.clone(), usable.iter().filter_map(|class| member(name, placeholder, class)).collect());
        }
        all
    }

    /// Which key each output column of a plan is, where it is one untouched.
    fn keys(&self, plan: &LogicalPlan) -> Vec<Option<Key>> {
        match plan {
            LogicalPlan::Projection(node) => {
                let below = self.keys(&node.input);
                node.expr.iter().map(|expression| key_of(expression, &node.input, &below)).collect()
            }
            LogicalPlan::Filter(node) => self.keys(&node.input),
            LogicalPlan::SubqueryAlias(node) => self.keys(&node.input),
            LogicalPlan::Distinct(Distinct::All(input)) => self.keys(input),
            LogicalPlan::Window(node) => {
                let mut keys = self.keys(&node.input);
                keys.resize(node.schema.fields().len(), None);
                keys
            }
            LogicalPlan::Aggregate(node) => {
                let below = self.keys(&node.input);
                let mut keys: Vec<_> =
                    node.group_expr.iter().map(|expression| key_of(expression, &node.input, &below)).collect();
                keys.resize(node.schema.fields().len(), None);
                keys
            }
            LogicalPlan::Join(node) => {
                let (left, right) = (self.keys(&node.left), self.keys(&node.right));
                let nothing = |keys: &[Option<Key>]| vec![None; keys.len()];
                // A side that may be null is its key no longer.
                let keys = match node.join_type {
                    JoinType::Inner => [left, right].concat(),
                    JoinType::Left => {
                        let right = nothing(&right);
                        [left, right].concat()
                    }
                    JoinType::Right => [nothing(&left), right].concat(),
                    JoinType::LeftSemi | JoinType::LeftAnti => left,
                    JoinType::RightSemi | JoinType::RightAnti => right,
                    JoinType::Full | JoinType::LeftMark | JoinType::RightMark => Vec::new(),
                };
                if keys.len() == node.schema.fields().len() { keys } else { vec![None; node.schema.fields().len()] }
            }
            LogicalPlan::TableScan(node) => {
                let name = node.table_name.table();
                let key = |index: usize| {
                    let key = *self.placeholders.get(name)?.columns.get(index)?;
                    key.map(|key| (name.to_owned(), key))
                };
                match &node.projection {
                    Some(indices) => indices.iter().map(|&index| key(index)).collect(),
                    None => (0..node.projected_schema.fields().len()).map(key).collect(),
                }
            }
            other => vec![None; other.schema().fields().len()],
        }
    }
}

fn key_of(expression: &Expr, input: &LogicalPlan, below: &[Option<Key>]) -> Option<Key> {
    match expression {
        Expr::Alias(alias) => key_of(&alias.expr, input, below),
        Expr::Column(column) => below.get(input.schema().maybe_index_of_column(column)?)?.clone(),
        _ => None,
    }
}
