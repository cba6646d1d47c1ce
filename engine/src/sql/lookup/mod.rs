//! Lists in scripts: CREATE TABLE of lookup tables, joins of streams with them ([`join`]), and [`cidr_match`].

mod cidr_match;
mod join;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, TableSource};

use super::catalog::list;
use super::script::CreateTable;
use super::sql_error;
use crate::error::{Error, Result};
use crate::format::Format;
use crate::lookup::{Declaration, Lookup, LookupFile, Match, of_function};
use crate::options::Options;
use crate::plan::{Column, ColumnSource, TableDef};
pub(super) use cidr_match::cidr_match;
pub(super) use join::rewrite_joins;

/// A lookup table as queries see it, until its join is rewritten.
#[derive(Debug)]
pub(super) struct LookupRows {
    lookup: Arc<Lookup>,
    schema: SchemaRef,
}

impl LookupRows {
    pub(super) fn new(lookup: &Arc<Lookup>) -> Self {
        Self { lookup: Arc::clone(lookup), schema: lookup.declaration.nullable_columns() }
    }
}

impl TableSource for LookupRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Loads the list of a CREATE TABLE with a lookup connector.
pub(super) fn define(
    ddl: &CreateTable,
    mut def: TableDef,
    file: Arc<dyn LookupFile>,
    mut options: Options,
) -> Result<TableDef> {
    let name = Arc::clone(&def.name);
    let wrong = |why: &str| Error::invalid(format!("table `{name}`: {why}"));
    if ddl.watermark.is_some() {
        return Err(wrong("a lookup table has no event time").hint("leave WATERMARK FOR out"));
    }
    if let Some(Column { field, .. }) =
        def.columns.iter().find(|column| !matches!(column.from, ColumnSource::Record(_)))
    {
        return Err(wrong(&format!("column `{}`: all columns of a lookup table are in its list", field.name()))
            .hint("compute in the query what is not in the list"));
    }
    let format = def.format.take().map(Format::in_files);
    let Some(format @ (Format::Csv(_) | Format::Json(_))) = format else {
        return Err(wrong("a list is CSV or JSON").hint("say format = 'csv' or 'json'"));
    };
    let columns: SchemaRef =
        Arc::new(Schema::new(def.columns.iter().map(|column| Arc::clone(&column.field)).collect::<Vec<_>>()));
    let choices = [("exact", Match::Exact), ("cidr", Match::Cidr)];
    let matching = options.parse_choice("match", &choices)?.unwrap_or(Match::Exact);
    let key = key(&columns, matching, &mut options)?;
    let at = options.location("path");
    options.finish()?;
    let declaration = Declaration { name: Arc::clone(&name), columns, key, matching, format };
    let lookup = Lookup::load(declaration, file).map_err(|error| error.at(at))?;
    def.lookup = Some(Arc::new(lookup));
    Ok(def)
}

/// The number of the key's column.
fn key(columns: &Schema, matching: Match, options: &mut Options) -> Result<usize> {
    let name = options.require("key")?;
    let Some((index, field)) = columns.column_with_name(&name) else {
        let names = list(columns.fields().iter().map(|field| field.name().as_str()));
        return Err(options.bad_value("key", &name, &format!("a column: {names}")));
    };
    let data_type = field.data_type();
    match matching {
        Match::Cidr if *data_type != DataType::Utf8 => {
            Err(options.bad_value("key", &name, "a column of type TEXT, where match = 'cidr'"))
        }
        Match::Exact if *data_type != DataType::Utf8 && !data_type.is_integer() => {
            Err(options.bad_value("key", &name, "a column of type TEXT or of an integer type"))
        }
        Match::Exact | Match::Cidr => Ok(index),
    }
}

/// The lookup tables that a plan uses, by name.
pub(super) fn used(plan: &LogicalPlan) -> Result<Vec<Arc<Lookup>>> {
    let mut found: BTreeMap<Arc<str>, Arc<Lookup>> = BTreeMap::new();
    let mut note = |expression: &Expr| {
        if let Expr::ScalarFunction(call) = expression
            && let Some(lookup) = of_function(call.func.inner().as_ref() as &dyn Any)
        {
            found.insert(Arc::clone(&lookup.declaration.name), Arc::clone(lookup));
        }
        Ok(TreeNodeRecursion::Continue)
    };
    plan.apply_with_subqueries(|node| {
        for expression in node.expressions() {
            expression.apply(&mut note)?;
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    Ok(found.into_values().collect())
}
