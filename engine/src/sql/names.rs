//! Names that a query's columns get before DataFusion plans it.

use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Ident, Query, SelectItem, SetExpr, TableFactor};

/// Calls `table.window.start` `start`, as any field after its last part, where nothing else in a SELECT is called so; in derived tables
/// and CTEs too.
pub(super) fn with_field_names(query: &Query) -> Query {
    let mut query = query.clone();
    name_fields(&mut query);
    query
}

fn name_fields(query: &mut Query) {
    for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        name_fields(&mut cte.query);
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for table in &mut select.from {
        let joined = table.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut table.relation).chain(joined) {
            if let TableFactor::Derived { subquery, .. } = factor {
                name_fields(subquery);
            }
        }
    }
    let fields: Vec<Option<Ident>> = select.projection.iter().map(|item| field_of(item).cloned()).collect();
    for (index, field) in fields.iter().enumerate() {
        let Some(field) = field else { continue };
        let is_same =
            |other: &Option<Ident>| other.as_ref().is_some_and(|other| other.value.eq_ignore_ascii_case(&field.value));
        let n_fields = fields.iter().filter(|other| is_same(other)).count();
        if n_fields != 1 || select.projection.iter().any(|item| is_called(item, &field.value)) {
            continue;
        }
        if let SelectItem::UnnamedExpr(expr) = &select.projection[index] {
            let name = if field.quote_style.is_some() { field.value.clone() } else { field.value.to_lowercase() };
            let alias = Ident::with_quote('"', name);
            select.projection[index] = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// The last part of an item such as `table.window.start`.
fn field_of(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::UnnamedExpr(AstExpr::CompoundIdentifier(parts)) => parts.last(),
        _ => None,
    }
}

/// Whether an item has this name, or may have it.
fn is_called(item: &SelectItem, name: &str) -> bool {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.value.eq_ignore_ascii_case(name),
        SelectItem::UnnamedExpr(AstExpr::Identifier(ident)) => ident.value.eq_ignore_ascii_case(name),
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
        _ => false,
    }
}

/// INSERT goes by position, so two columns may have the same name; DataFusion needs distinct names.
pub(super) fn with_own_names(query: &Query) -> Query {
    let mut query = query.clone();
    if let SetExpr::Select(select) = query.body.as_mut() {
        for (index, item) in select.projection.iter_mut().enumerate() {
            let SelectItem::UnnamedExpr(expression) = item else { continue };
            if matches!(expression, AstExpr::CompoundIdentifier(_) | AstExpr::CompoundFieldAccess { .. }) {
                let alias = Ident::new(format!("__column_{index}"));
                *item = SelectItem::ExprWithAlias { expr: expression.clone(), alias };
            }
        }
    }
    query
}
