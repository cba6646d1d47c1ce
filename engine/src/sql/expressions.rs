//! Every expression of a script with its place, so that an error of a running task can name them.
//!
//! Plans have no places, and the optimiser rewrites expressions. So both are brought to a shape without types, literals and
//! qualifiers ([`crate::operator::guard::place`] does the same for physical expressions), and equal shapes are the same expression.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Select, SelectItem, Spanned, UnaryOperator,
    Visit, Visitor,
};

use super::script::{ColumnFrom, Statement, StatementKind, location, normalize};
use crate::operator::guard::place::{LITERAL, SqlExpression, binary, call};

/// The expressions of `statement` first, then those of the others.
pub(super) fn expressions(statement: &Statement, all: &[Statement]) -> Arc<[SqlExpression]> {
    let mut aliases = Aliases::default();
    all.iter().for_each(|statement| visit(statement, &mut aliases));
    let mut found = Found { expressions: Vec::new(), aliases };
    let others = all.iter().filter(|other| other.location != statement.location);
    std::iter::once(statement).chain(others).for_each(|statement| visit(statement, &mut found));
    found.expressions.into()
}

fn visit<V: Visitor<Break = ()>>(statement: &Statement, visitor: &mut V) {
    let visited = match &statement.kind {
        StatementKind::CreateTable(table) => {
            let generated = table.columns.iter().filter_map(|column| match &column.from {
                ColumnFrom::Generated(expression) => Some(expression.as_ref()),
                ColumnFrom::Record | ColumnFrom::Metadata(_) => None,
            });
            let watermark = table.watermark.iter().filter_map(|(_, expression)| expression.as_ref());
            generated.chain(watermark).try_for_each(|expression| expression.visit(visitor))
        }
        StatementKind::CreateView(..) | StatementKind::Insert(..) | StatementKind::Query(_) => {
            statement.kind.query().map_or(ControlFlow::Continue(()), |query| query.visit(visitor))
        }
        StatementKind::CreateFunction(_) | StatementKind::Set(..) => ControlFlow::Continue(()),
    };
    assert!(visited.is_continue(), "these visitors never break");
}

/// What columns with a name of their own stand for, anywhere in the script.
#[derive(Default)]
struct Aliases(HashMap<String, String>);

impl Visitor for Aliases {
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        for item in &select.projection {
            if let SelectItem::ExprWithAlias { expr, alias } = item
                && let Some(shape) = shape(expr, &HashMap::new())
                && shape != normalize(alias)
            {
                self.0.insert(normalize(alias), shape);
            }
        }
        ControlFlow::Continue(())
    }
}

struct Found {
    expressions: Vec<SqlExpression>,
    aliases: Aliases,
}

impl Visitor for Found {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        let at = location(expression.span().start);
        if let (Some(plain), Some(location)) = (shape(expression, &HashMap::new()), at) {
            let inlined = shape(expression, &self.aliases.0).unwrap_or_default();
            let is_cast = matches!(expression, Expr::Cast { .. });
            let text = expression.to_string();
            self.expressions.push(SqlExpression { shape: plain, inlined, is_cast, text, location });
        }
        ControlFlow::Continue(())
    }
}

/// The shape of an expression, with columns replaced by what `aliases` says; `None` where its plan looks too different.
fn shape(expression: &Expr, aliases: &HashMap<String, String>) -> Option<String> {
    let column = |name: String| aliases.get(&name).cloned().unwrap_or(name);
    let shape = |expression: &Expr| shape(expression, aliases);
    match expression {
        Expr::Identifier(name) => Some(column(normalize(name))),
        Expr::CompoundIdentifier(parts) => parts.last().map(normalize).map(column),
        Expr::Value(_) | Expr::Interval(_) | Expr::TypedString(_) => Some(LITERAL.to_owned()),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => shape(inner),
        Expr::BinaryOp { left, op, right } => Some(binary(&shape(left)?, operator(op)?, &shape(right)?)),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => shape(expr).map(|inner| match inner.as_str() {
            LITERAL => inner,
            _ => format!("-{inner}"),
        }),
        Expr::Function(function) => {
            let name = normalize(function.name.0.last()?.as_ident()?);
            let FunctionArguments::List(list) = &function.args else { return None };
            let argument = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => shape(argument),
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Some("*".to_owned()),
                _ => None,
            };
            Some(call(&name, &list.args.iter().map(argument).collect::<Option<Vec<_>>>()?))
        }
        _ => None,
    }
}

fn operator(operator: &BinaryOperator) -> Option<&'static str> {
    match operator {
        BinaryOperator::Plus => Some("+"),
        BinaryOperator::Minus => Some("-"),
        BinaryOperator::Multiply => Some("*"),
        BinaryOperator::Divide => Some("/"),
        BinaryOperator::Modulo => Some("%"),
        _ => None,
    }
}
