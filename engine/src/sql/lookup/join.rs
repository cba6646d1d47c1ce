//! Joins with lookup tables become projections that call the lookup's function.
//!
//! ```text
//! flows LEFT JOIN miners AS m ON m.network = flows.da AND m.severity = 'high'
//!   Projection: flows.…, lookup_field_network(__lookup) AS m.network, …
//!     Projection: flows.…, CASE WHEN lookup_field_severity(__lookup) = 'high' THEN __lookup END AS __lookup
//!       Projection: flows.…, lookup_miners(flows.da) AS __lookup
//! ```
//! An inner join is the same with a filter in place of the CASE. A row has one entry at most, so no join brings rows together. This is
//! done before types are coerced: the function compares its key by rules of its own.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator, Projection, when};

use super::super::sql_error;
use super::LookupRows;
use crate::error::{Error, Result, Subject};
use crate::lookup::{Lookup, Match, field, function};

/// The entry of a row, between the projections.
const ENTRY: &str = "__lookup";

/// Rewrites all joins with lookup tables, and refuses other uses of these tables.
pub(in crate::sql) fn rewrite_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut problem = None;
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let LogicalPlan::Join(join) = &node else { return Ok(Transformed::no(node)) };
        match rewrite(join) {
            Ok(None) => Ok(Transformed::no(node)),
            Ok(Some(plan)) => Ok(Transformed::yes(plan)),
            Err(error) => {
                problem = Some(error);
                Ok(Transformed::new(node, false, TreeNodeRecursion::Stop))
            }
        }
    });
    let rewritten = rewritten.map_err(sql_error)?.data;
    let problem = problem.map_or_else(|| check_rest(&rewritten), |error| Ok(Some(error)))?;
    problem.map_or(Ok(rewritten), Err)
}

/// A lookup table that is used in another way than in a join.
fn check_rest(plan: &LogicalPlan) -> Result<Option<Error>> {
    let mut problem = None;
    plan.apply_with_subqueries(|node| {
        if let Some(Side { lookup, .. }) = Side::of(node) {
            let name = &lookup.declaration.name;
            problem = Some(
                Error::invalid(format!("lookup table `{name}` can only be joined with a stream"))
                    .hint(how_to_join(lookup))
                    .about(Subject::Table(name.to_string())),
            );
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    Ok(problem)
}

fn how_to_join(lookup: &Lookup) -> String {
    let declaration = &lookup.declaration;
    let (name, key) = (&declaration.name, declaration.columns.field(declaration.key).name());
    format!("write FROM stream LEFT JOIN {name} ON {name}.{key} = …, or JOIN for rows with an entry only")
}

/// A lookup table in a join.
struct Side<'a> {
    lookup: &'a Arc<Lookup>,
    plan: &'a LogicalPlan,
}

impl<'a> Side<'a> {
    fn of(plan: &'a LogicalPlan) -> Option<Self> {
        Self::lookup_of(plan).map(|lookup| Self { lookup, plan })
    }

    fn lookup_of(plan: &LogicalPlan) -> Option<&Arc<Lookup>> {
        match plan {
            LogicalPlan::SubqueryAlias(node) => Self::lookup_of(&node.input),
            LogicalPlan::TableScan(scan) => Some(&scan.source.downcast_ref::<LookupRows>()?.lookup),
            _ => None,
        }
    }

    fn has(&self, column: &Column) -> bool {
        self.plan.schema().maybe_index_of_column(column).is_some()
    }

    fn is_key(&self, expression: &Expr) -> bool {
        let Expr::Column(column) = expression else { return false };
        self.plan.schema().maybe_index_of_column(column) == Some(self.lookup.declaration.key)
    }

    fn uses_none(&self, expression: &Expr) -> bool {
        expression.column_refs().into_iter().all(|column| !self.has(column))
    }

    /// Splits the conditions into the key that is looked up, and the rest.
    fn split(&self, conditions: Vec<Expr>) -> Result<(Expr, Vec<Expr>)> {
        let mut key = None;
        let mut rest = Vec::new();
        for condition in conditions {
            match self.key_of(&condition) {
                Some(found) if key.is_none() => key = Some(found),
                Some(_) if self.lookup.declaration.matching == Match::Cidr => {
                    return Err(self
                        .wrong("compares the key of the lookup table twice")
                        .hint("join the lookup table once for each address, under two names"));
                }
                _ => rest.push(condition),
            }
        }
        let key = key
            .ok_or_else(|| self.wrong("does not compare the key of the lookup table").hint(how_to_join(self.lookup)))?;
        Ok((key, rest))
    }

    fn wrong(&self, why: &str) -> Error {
        let name = &self.lookup.declaration.name;
        Error::invalid(format!("the join with lookup table `{name}` {why}")).about(Subject::Join)
    }

    /// What a condition compares the key with, if it does that.
    fn key_of(&self, condition: &Expr) -> Option<Expr> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
        match (&**left, &**right) {
            (key, other) | (other, key) if self.is_key(key) && self.uses_none(other) => Some(other.clone()),
            _ => None,
        }
    }

    /// A column of this table, of the entry.
    fn field(&self, index: usize) -> Expr {
        field(self.lookup, index).call(vec![entry()])
    }

    /// An expression with this table's columns as fields of the entry.
    fn over_entry(&self, expression: Expr) -> Result<Expr> {
        let field = |node: Expr| {
            let Expr::Column(column) = &node else { return Ok(Transformed::no(node)) };
            let index = self.plan.schema().maybe_index_of_column(column);
            Ok(index.map_or_else(|| Transformed::no(node.clone()), |index| Transformed::yes(self.field(index))))
        };
        Ok(expression.transform_up(field).map_err(sql_error)?.data)
    }
}

fn entry() -> Expr {
    Expr::Column(Column::from_name(ENTRY))
}

/// The join without a join; `None` where neither side is a lookup table.
fn rewrite(join: &Join) -> Result<Option<LogicalPlan>> {
    let (side, stream, lookup_is_left) = match (Side::of(&join.left), Side::of(&join.right)) {
        (None, None) => return Ok(None),
        (Some(left), Some(_)) => return Err(left.wrong("is with another lookup table").hint(how_to_join(left.lookup))),
        (Some(side), None) => (side, &join.right, true),
        (None, Some(side)) => (side, &join.left, false),
    };
    let keeps_all = match (join.join_type, lookup_is_left) {
        (JoinType::Inner, _) => false,
        (JoinType::Left, false) | (JoinType::Right, true) => true,
        _ => {
            return Err(side
                .wrong("would have entries without a row, or use only whether there is an entry")
                .hint(how_to_join(side.lookup)));
        }
    };
    let of_pairs = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    let of_filter = join.filter.iter().cloned().flat_map(split_conjunction_owned);
    let (key, rest) = side.split(of_pairs.chain(of_filter).collect())?;
    let rest = rest.into_iter().map(|condition| side.over_entry(condition)).collect::<Result<Vec<_>>>()?;
    let call = function(side.lookup).call(vec![key]).alias(ENTRY);
    let plan = with_entry(Arc::clone(stream), call)?;
    let plan = if keeps_all {
        match conjunction(rest) {
            None => plan,
            Some(condition) => {
                let found = when(condition, entry()).end().map_err(sql_error)?;
                let columns = stream_columns(stream).chain([found.alias(ENTRY)]).collect();
                project(columns, Arc::new(plan))?
            }
        }
    } else {
        let condition = rest.into_iter().fold(entry().is_not_null(), Expr::and);
        LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan)).map_err(sql_error)?)
    };
    let of_lookup = side
        .plan
        .schema()
        .iter()
        .enumerate()
        .map(|(index, (qualifier, column))| side.field(index).alias_qualified(qualifier.cloned(), column.name()));
    let of_stream = stream_columns(stream);
    let columns: Vec<Expr> =
        if lookup_is_left { of_lookup.chain(of_stream).collect() } else { of_stream.chain(of_lookup).collect() };
    project(columns, Arc::new(plan)).map(Some)
}

fn stream_columns(stream: &LogicalPlan) -> impl Iterator<Item = Expr> {
    stream.schema().columns().into_iter().map(Expr::Column)
}

fn with_entry(stream: Arc<LogicalPlan>, call: Expr) -> Result<LogicalPlan> {
    let columns = stream_columns(&stream).chain([call]).collect();
    project(columns, stream)
}

fn project(columns: Vec<Expr>, input: Arc<LogicalPlan>) -> Result<LogicalPlan> {
    Ok(LogicalPlan::Projection(Projection::try_new(columns, input).map_err(sql_error)?))
}
