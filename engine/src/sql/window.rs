//! Where windows are in a logical plan: markers in GROUP BY, and the columns that carry a window upwards.
//!
//! The rule that makes streams of closed windows correct: an operator above a window may only bring together rows of the same
//! window. [`check_above`] proves it by following the window's columns through the plan; what cannot be followed is refused.

use std::collections::HashMap;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Aggregate, Distinct, EmptyRelation, Expr, Join, LogicalPlan, Union};

use super::functions::{WindowKind, WindowMarker};
use super::sql_error;
use crate::error::{Error, Result, Subject};
use crate::operator::window::spec::WindowSpec;

/// Which part of a window a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Whole,
    Start,
    End,
}

/// The parts that a plan's output columns are, by position.
pub type Parts = Vec<Option<Part>>;

/// The marker in an expression, if it is one (under aliases).
pub fn marker(expression: &Expr) -> Option<(&WindowMarker, &[Expr])> {
    match expression {
        Expr::Alias(alias) => marker(&alias.expr),
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let marker = (func.inner().as_ref() as &dyn std::any::Any).downcast_ref::<WindowMarker>()?;
            Some((marker, args))
        }
        _ => None,
    }
}

/// The window of an aggregate: which group expression, and its shape. `None` for an aggregate without one.
pub fn window_of(aggregate: &Aggregate) -> Result<Option<(usize, WindowSpec)>> {
    let mut found = None;
    for (index, expression) in aggregate.group_expr.iter().enumerate() {
        if matches!(expression, Expr::GroupingSet(_)) {
            return Err(Error::invalid("GROUPING SETS, CUBE and ROLLUP are not supported")
                .hint("write one query per grouping and join them with UNION ALL")
                .about(Subject::GroupingSet));
        }
        let Some((marker, arguments)) = marker(expression) else { continue };
        if found.is_some() {
            return Err(Error::invalid("GROUP BY has two windows")
                .hint("group one windowed view by another window")
                .about(Subject::SecondWindow));
        }
        let kind = marker.kind;
        let spec = marker.spec(|index| interval_ns(kind, arguments.get(index)));
        found = Some((index, spec.map_err(|error| error.about(Subject::Call(kind.name().to_owned())))?));
    }
    Ok(found)
}

fn interval_ns(kind: WindowKind, argument: Option<&Expr>) -> Result<i64> {
    let wrong = || {
        Error::invalid(format!("{}: expected a literal interval", kind.usage()))
            .hint("write it as INTERVAL '5 minutes'; months and years have no fixed length")
    };
    let literal = match argument {
        Some(Expr::Literal(literal, _)) => literal,
        Some(Expr::Cast(cast)) => match cast.expr.as_ref() {
            Expr::Literal(literal, _) => literal,
            _ => return Err(wrong()),
        },
        _ => return Err(wrong()),
    };
    let cast =
        literal.cast_to(&DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano)).map_err(|_| wrong())?;
    let ScalarValue::IntervalMonthDayNano(Some(interval)) = cast else { return Err(wrong()) };
    if interval.months != 0 {
        return Err(wrong());
    }
    const DAY_NS: i64 = 86_400_000_000_000;
    i64::from(interval.days)
        .checked_mul(DAY_NS)
        .and_then(|days| days.checked_add(interval.nanoseconds))
        .ok_or_else(wrong)
}

/// Whether a window marker is anywhere in an expression.
pub fn has_marker(expression: &Expr) -> Result<bool> {
    expression.exists(|node| Ok(matches!(node, Expr::ScalarFunction(_)) && marker(node).is_some())).map_err(sql_error)
}

/// Whether `tumble`, `hop` or `session` is called anywhere in a plan.
pub fn has_markers(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|node| {
        for expression in node.expressions() {
            found |= has_marker(&expression).unwrap_or(false);
        }
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })
    .map_err(sql_error)?;
    Ok(found)
}

/// Finds which output columns are windows. Knows both the aggregates with window markers of a fresh plan and, by name, the
/// placeholders that replace them in a cut one.
pub struct Follow<'a> {
    /// The window's column in each placeholder of closed windows, and whether it is a session.
    pub placeholders: &'a HashMap<String, PlaceholderWindow>,
}

/// What is known of a placeholder of closed windows.
#[derive(Clone, Copy, Debug)]
pub struct PlaceholderWindow {
    /// The window's column in the placeholder's schema.
    pub index: usize,
    pub spec: WindowSpec,
}

impl Follow<'_> {
    /// The parts of a plan's output. Never fails: what cannot be followed is no window.
    pub fn parts(&self, plan: &LogicalPlan) -> Parts {
        match plan {
            LogicalPlan::Projection(node) => {
                let below = self.parts(&node.input);
                node.expr.iter().map(|expression| part_of(expression, &node.input, &below)).collect()
            }
            LogicalPlan::Filter(node) => self.parts(&node.input),
            LogicalPlan::Sort(node) => self.parts(&node.input),
            LogicalPlan::Limit(node) => self.parts(&node.input),
            LogicalPlan::SubqueryAlias(node) => self.parts(&node.input),
            LogicalPlan::Subquery(node) => self.parts(&node.subquery),
            LogicalPlan::Distinct(Distinct::All(input)) => self.parts(input),
            LogicalPlan::Window(node) => {
                let mut parts = self.parts(&node.input);
                parts.resize(node.schema.fields().len(), None);
                parts
            }
            LogicalPlan::Aggregate(node) => self.aggregate_parts(node),
            LogicalPlan::Join(node) => self.join_parts(node),
            LogicalPlan::Union(node) => self.union_parts(node),
            LogicalPlan::Unnest(node) => {
                let below = self.parts(&node.input);
                node.dependency_indices.iter().map(|&index| below.get(index).copied().flatten()).collect()
            }
            LogicalPlan::TableScan(node) => {
                let placeholder = self.placeholders.get(node.table_name.table());
                let window = |index: usize| {
                    placeholder.is_some_and(|placeholder| placeholder.index == index).then_some(Part::Whole)
                };
                match &node.projection {
                    Some(indices) => indices.iter().map(|&index| window(index)).collect(),
                    None => (0..node.projected_schema.fields().len()).map(window).collect(),
                }
            }
            other => vec![None; other.schema().fields().len()],
        }
    }

    fn aggregate_parts(&self, node: &Aggregate) -> Parts {
        let below = self.parts(&node.input);
        let of_group = |expression: &Expr| {
            if marker(expression).is_some() { Some(Part::Whole) } else { part_of(expression, &node.input, &below) }
        };
        let mut parts: Parts = node.group_expr.iter().map(of_group).collect();
        parts.resize(node.schema.fields().len(), None);
        parts
    }

    fn join_parts(&self, node: &Join) -> Parts {
        let (left, right) = (self.parts(&node.left), self.parts(&node.right));
        let nothing = |parts: &Parts| vec![None; parts.len()];
        match node.join_type {
            JoinType::Inner => [left, right].concat(),
            // The side that may be null does not carry the window.
            JoinType::Left => [left, nothing(&right)].concat(),
            JoinType::Right => [nothing(&left), right].concat(),
            JoinType::Full => [nothing(&left), nothing(&right)].concat(),
            JoinType::LeftSemi | JoinType::LeftAnti => left,
            JoinType::RightSemi | JoinType::RightAnti => right,
            JoinType::LeftMark => [left, vec![None]].concat(),
            JoinType::RightMark => [right, vec![None]].concat(),
        }
    }

    fn union_parts(&self, node: &Union) -> Parts {
        let inputs: Vec<Parts> = node.inputs.iter().map(|input| self.parts(input)).collect();
        let agree = |index: usize| {
            let first = inputs.first()?.get(index).copied().flatten();
            inputs.iter().all(|parts| parts.get(index).copied().flatten() == first).then_some(first).flatten()
        };
        (0..node.schema.fields().len()).map(agree).collect()
    }

    /// Proves that every operator works within a window; says whether the plan sorts or limits.
    pub fn check_above(&self, plan: &LogicalPlan) -> Result<bool> {
        let mut orders = false;
        let mut is_sorted = false;
        plan.apply(|node| {
            is_sorted |= matches!(node, LogicalPlan::Sort(_));
            match self.check_node(node) {
                Ok(node_orders) => orders |= node_orders,
                Err(error) => return Err(datafusion::error::DataFusionError::External(Box::new(error))),
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(sql_error)?;
        if orders && self.placeholders.values().any(|placeholder| matches!(placeholder.spec, WindowSpec::Session(_))) {
            return Err(Error::invalid("ORDER BY and LIMIT above a session window are not supported")
                .hint(
                    "sessions of different keys have different windows; use ROW_NUMBER() OVER (PARTITION BY window …)",
                )
                .about(if is_sorted { Subject::OrderBy } else { Subject::Limit }));
        }
        Ok(orders)
    }

    fn check_node(&self, node: &LogicalPlan) -> Result<bool> {
        if has_sub_query(node)? {
            // A correlated one has become a join by now; what is left looks at all windows that happen to close together.
            return Err(across_windows().about(Subject::SubQuery));
        }
        match node {
            LogicalPlan::Aggregate(aggregate) => {
                let below = self.parts(&aggregate.input);
                let by_window = |expression: &Expr| part_of(expression, &aggregate.input, &below).is_some();
                if aggregate.group_expr.iter().any(by_window) {
                    return Ok(false);
                }
                Err(Error::invalid("an aggregate over windows does not group by the window, so it would never end")
                    .hint("add `window` to GROUP BY, or aggregate the windows again by a longer one, such as tumble(INTERVAL '1 hour')")
                    .about(Subject::GroupBy))
            }
            LogicalPlan::Distinct(distinct) => {
                if self.parts(distinct.input()).iter().any(Option::is_some) {
                    return Ok(false);
                }
                Err(Error::invalid("DISTINCT over windows without the window among its columns would never end")
                    .hint("select the window too")
                    .about(Subject::Distinct))
            }
            LogicalPlan::Window(window) => {
                let below = self.parts(&window.input);
                for expression in &window.window_expr {
                    if !partitions_by_window(expression, &window.input, &below) {
                        return Err(Error::invalid(
                            "a window function over windows must have the window in PARTITION BY",
                        )
                        .hint("write OVER (PARTITION BY window ORDER BY …)")
                        .about(Subject::Over));
                    }
                }
                Ok(false)
            }
            LogicalPlan::Join(join) => {
                let (left, right) = (self.parts(&join.left), self.parts(&join.right));
                if joins_on_window(join, &left, &right) {
                    return Ok(false);
                }
                Err(across_windows().about(Subject::Join))
            }
            LogicalPlan::Sort(_) | LogicalPlan::Limit(_) => Ok(true),
            // What a condition that is never true leaves.
            LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, .. }) => Ok(false),
            LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
                Err(Error::invalid("a query that mixes windows with constant rows is not supported")
                    .hint("leave VALUES or the SELECT without FROM out"))
            }
            _ => Ok(false),
        }
    }
}

fn across_windows() -> Error {
    Error::invalid("a join or sub-query over windows must be on the same window")
        .hint("add `a.window = b.window` to the condition; a sub-query must be correlated on the window")
}

/// Whether a node's own expressions hold a sub-query.
pub fn has_sub_query(node: &LogicalPlan) -> Result<bool> {
    let is_sub_query = |expression: &Expr| {
        Ok(matches!(
            expression,
            Expr::ScalarSubquery(_)
                | Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    };
    for expression in node.expressions() {
        if expression.exists(is_sub_query).map_err(sql_error)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Which part of a window an expression over `input` is.
fn part_of(expression: &Expr, input: &LogicalPlan, below: &Parts) -> Option<Part> {
    match expression {
        Expr::Alias(alias) => part_of(&alias.expr, input, below),
        Expr::Column(column) => {
            let index = input.schema().maybe_index_of_column(column)?;
            below.get(index).copied().flatten()
        }
        Expr::ScalarFunction(call) if call.func.name() == "get_field" => {
            let [of, Expr::Literal(name, _)] = call.args.as_slice() else { return None };
            (part_of(of, input, below)? == Part::Whole).then_some(())?;
            match name.try_as_str().flatten()? {
                "start" => Some(Part::Start),
                "end" => Some(Part::End),
                _ => None,
            }
        }
        _ => None,
    }
}

fn partitions_by_window(expression: &Expr, input: &LogicalPlan, below: &Parts) -> bool {
    match expression {
        Expr::Alias(alias) => partitions_by_window(&alias.expr, input, below),
        Expr::WindowFunction(call) => call.params.partition_by.iter().any(|by| part_of(by, input, below).is_some()),
        _ => false,
    }
}

fn joins_on_window(join: &Join, left: &Parts, right: &Parts) -> bool {
    let same = |a: &Expr, b: &Expr| {
        let parts = (part_of(a, &join.left, left), part_of(b, &join.right, right));
        matches!(parts, (Some(a), Some(b)) if a == b)
    };
    join.on.iter().any(|(a, b)| same(a, b) || same(b, a))
}
