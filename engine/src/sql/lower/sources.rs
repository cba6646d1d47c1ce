//! The source tables below a cut plan.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan};

use super::super::placeholder::table_of;
use super::super::sql_error;
use crate::error::Result;
use crate::plan::TableDef;

/// Which of the keys, the first `n_keys` columns of `plan`, are the columns that a topic is partitioned by; none unless all are there.
pub(super) fn partition_keys(plan: &LogicalPlan, def: &TableDef, n_keys: usize) -> Vec<usize> {
    let columns: Vec<Option<String>> = (0..n_keys).map(|index| untouched(plan, index)).collect();
    let key = |name: &String| columns.iter().position(|column| column.as_ref() == Some(name));
    let keys: Option<Vec<usize>> = def.partitioned_by.iter().map(key).collect();
    keys.unwrap_or_default()
}

/// The table's column that an output column of a row-wise plan is, if nothing was done to it.
fn untouched(plan: &LogicalPlan, index: usize) -> Option<String> {
    match plan {
        LogicalPlan::Projection(node) => {
            let mut expression = node.expr.get(index)?;
            while let Expr::Alias(alias) = expression {
                expression = &alias.expr;
            }
            let Expr::Column(column) = expression else { return None };
            untouched(&node.input, node.input.schema().maybe_index_of_column(column)?)
        }
        LogicalPlan::Filter(node) => untouched(&node.input, index),
        LogicalPlan::SubqueryAlias(node) => untouched(&node.input, index),
        LogicalPlan::TableScan(node) => Some(node.projected_schema.field(index).name().clone()),
        _ => None,
    }
}

/// The source tables that a cut plan reads, each once.
pub(super) fn source_tables(plan: &LogicalPlan) -> Result<Vec<Arc<TableDef>>> {
    let mut tables: Vec<Arc<TableDef>> = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(def) = table_of(scan)
            && tables.iter().all(|known| known.name != def.name)
        {
            tables.push(def);
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    Ok(tables)
}

/// The plan with every source table but one empty.
pub(super) fn without_others(plan: LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let emptied = plan.transform_up(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        match table_of(scan) {
            Some(def) if *def.name != *name => {
                let schema = Arc::clone(&scan.projected_schema);
                Ok(Transformed::yes(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })))
            }
            _ => Ok(Transformed::no(node)),
        }
    });
    Ok(emptied.map_err(sql_error)?.data)
}
