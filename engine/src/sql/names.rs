//! Names that a query's columns get before DataFusion plans it.

use datafusion::sql::sqlparser::ast::{Expr as AstExpr, Ident, Query, SelectItem, SetExpr, TableFactor};

/// Calls `window.start` `start` and `window.end` `end` where nothing else in a SELECT is called so; in derived tables and CTEs too.
pub(super) fn with_window_names(query: &Query) -> Query {
    let mut query = query.clone();
    name_bounds(&mut query);
    query
}

fn name_bounds(query: &mut Query) {
    for cte in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        name_bounds(&mut cte.query);
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for table in &mut select.from {
        let joined = table.joins.iter_mut().map(|join| &mut join.relation);
        for factor in std::iter::once(&mut table.relation).chain(joined) {
            if let TableFactor::Derived { subquery, .. } = factor {
                name_bounds(subquery);
            }
        }
    }
    for wanted in ["start", "end"] {
        let n_bounds = select.projection.iter().filter(|item| is_bound(item, wanted)).count();
        if n_bounds != 1 || select.projection.iter().any(|item| is_called(item, wanted)) {
            continue;
        }
        for item in &mut select.projection {
            if let (true, SelectItem::UnnamedExpr(expression)) = (is_bound(item, wanted), &*item) {
                *item = SelectItem::ExprWithAlias { expr: expression.clone(), alias: Ident::with_quote('"', wanted) };
            }
        }
    }
}

/// Whether an item is `window.<wanted>`, possibly after a table's name.
fn is_bound(item: &SelectItem, wanted: &str) -> bool {
    let SelectItem::UnnamedExpr(AstExpr::CompoundIdentifier(parts)) = item else { return false };
    matches!(parts.as_slice(), [.., window, part] if window.value == "window" && part.value.eq_ignore_ascii_case(wanted))
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
