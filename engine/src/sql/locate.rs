//! Line and column of what an error is about, from the syntax tree.
//!
//! Errors of lowering are about a logical plan, which has no locations. They name a [`Subject`], and the first part of the statement
//! that it fits, inner queries before outer ones, gives the location. sqlparser keeps no span of most keywords, so a clause is found by
//! its expressions, and its keyword by the tokens beside them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArguments, GroupByExpr, ObjectName, OrderByKind, Query, Select, SelectItem,
    SetExpr, SetQuantifier, Spanned, TableFactor, Value, Visit, Visitor,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{self, Span, Token};

use super::functions::WindowKind;
use super::script::{Statement, StatementKind, location, normalize};
use crate::error::{Error, Location, Subject};

/// Gives an error a location: its own, else that of its subject, else that of the statement.
pub(super) fn locate(error: Error, statement: &Statement) -> Error {
    let Error::Invalid(diagnostic) = &error else { return error };
    let found = diagnostic.subject.as_ref().and_then(|subject| find(statement, subject));
    error.at(found.or_else(|| name_of(statement)).or(Some(statement.location)))
}

/// The name that a statement creates by itself; views are left out, since their errors are about a query.
fn name_of(statement: &Statement) -> Option<Location> {
    match &statement.kind {
        StatementKind::CreateTable(table) => location(table.name.span.start),
        StatementKind::CreateFunction(function) => location(function.name.span.start),
        StatementKind::CreateView(..)
        | StatementKind::Insert(..)
        | StatementKind::Query(_)
        | StatementKind::Set(..) => None,
    }
}

/// Where in a statement `subject` is, if it is there.
pub(super) fn find(statement: &Statement, subject: &Subject) -> Option<Location> {
    let query = statement.kind.query()?;
    if let Subject::Column(index) = subject {
        return column(&query.body, *index);
    }
    let mut finder = Finder { statement, subject, grouped: Vec::new() };
    match query.visit(&mut finder) {
        ControlFlow::Break(at) => Some(at),
        // A join of the plan may be a sub-query of the text, and an aggregate may be a DISTINCT.
        ControlFlow::Continue(()) => match subject {
            Subject::Join => find(statement, &Subject::SubQuery),
            Subject::GroupBy => find(statement, &Subject::Distinct),
            _ => None,
        },
    }
}

/// A column of a query's first SELECT.
fn column(body: &SetExpr, index: usize) -> Option<Location> {
    match body {
        SetExpr::Select(select) => select.projection.get(index).and_then(start),
        SetExpr::Query(query) => column(&query.body, index),
        SetExpr::SetOperation { left, .. } => column(left, index),
        _ => None,
    }
}

struct Finder<'a> {
    statement: &'a Statement,
    subject: &'a Subject,
    /// The window markers that a GROUP BY names.
    grouped: Vec<Span>,
}

type Found = ControlFlow<Location>;

fn found(at: Option<Location>) -> Found {
    at.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

fn start(node: &impl Spanned) -> Option<Location> {
    location(node.span().start)
}

impl Finder<'_> {
    /// The last of `keywords` before `at`; `at` itself where there is none.
    fn keyword_before(&self, keywords: &[Keyword], at: tokenizer::Location) -> Option<Location> {
        let before = self.statement.tokens.iter().rev().filter(|token| token.span.start <= at);
        let keyword = before.clone().find(|token| is_keyword(&token.token, keywords));
        location(at).map(|at| keyword.and_then(|token| location(token.span.start)).unwrap_or(at))
    }

    fn keyword_after(&self, keyword: Keyword, at: tokenizer::Location) -> Option<Location> {
        let mut after = self.statement.tokens.iter().filter(|token| at <= token.span.start);
        after.find(|token| is_keyword(&token.token, &[keyword])).and_then(|token| location(token.span.start))
    }

    fn in_query(&self, query: &Query) -> Option<Location> {
        match self.subject {
            Subject::OrderBy => {
                let OrderByKind::Expressions(expressions) = &query.order_by.as_ref()?.kind else { return None };
                self.keyword_before(&[Keyword::ORDER], expressions.first()?.span().start)
            }
            Subject::Limit => {
                self.keyword_before(&[Keyword::LIMIT, Keyword::OFFSET], query.limit_clause.as_ref()?.span().start)
            }
            Subject::Lock if !query.locks.is_empty() => {
                self.keyword_after(Keyword::FOR, query.span().end).or_else(|| start(query))
            }
            _ => self.in_set_operation(&query.body),
        }
    }

    fn in_set_operation(&self, body: &SetExpr) -> Option<Location> {
        let SetExpr::SetOperation { op: _, set_quantifier, left, right } = body else { return None };
        let keywords: &[Keyword] = match self.subject {
            Subject::Distinct if *set_quantifier != SetQuantifier::All => &[Keyword::UNION],
            Subject::Join => &[Keyword::EXCEPT, Keyword::INTERSECT],
            _ => return None,
        };
        let keyword = self.keyword_before(keywords, right.span().start);
        self.in_set_operation(left).or_else(|| keyword.filter(|at| Some(*at) != start(right.as_ref())))
    }

    fn in_select(&self, select: &Select) -> Option<Location> {
        match self.subject {
            Subject::Distinct if select.distinct.is_some() => {
                self.keyword_after(Keyword::DISTINCT, select.select_token.0.span.start)
            }
            Subject::Join => {
                let joins = select.from.iter().flat_map(|table| &table.joins);
                let explicit = joins.map(|join| self.keyword_before(&[Keyword::JOIN], join.relation.span().start));
                explicit.chain(select.from.iter().skip(1).map(|table| start(&table.relation))).flatten().next()
            }
            Subject::GroupBy if !group_expressions(select).any(is_marker) => match &select.group_by {
                GroupByExpr::Expressions(by, _) => self.keyword_before(&[Keyword::GROUP], by.first()?.span().start),
                GroupByExpr::All(_) => self.keyword_after(Keyword::GROUP, select.span().end),
            },
            Subject::SecondWindow => group_expressions(select).filter(|by| is_marker(by)).nth(1).and_then(start),
            Subject::Wildcard => {
                let is_wildcard =
                    |item: &&SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
                select.projection.iter().find(is_wildcard).and_then(start)
            }
            Subject::Where => select.selection.as_ref().and_then(start),
            _ => None,
        }
    }

    fn in_call(&self, call: &Function) -> Option<Location> {
        let is_called = |name: &str| matches!(call.name.0.as_slice(), [part] if part.as_ident().is_some_and(|part| normalize(part) == *name));
        match self.subject {
            Subject::Call(name) if is_called(name) => start(&call.name),
            Subject::StrayWindow if is_window(call) && !self.grouped.contains(&call.span()) => start(&call.name),
            Subject::Over if call.over.is_some() => self.keyword_after(Keyword::OVER, call.span().end),
            Subject::Argument(name) => {
                let FunctionArguments::List(list) = &call.args else { return None };
                let argument = |argument: &FunctionArg| match argument {
                    FunctionArg::Named { name: given, .. }
                    | FunctionArg::ExprNamed { name: Expr::Identifier(given), .. } => {
                        (normalize(given) == *name).then_some(given.span)
                    }
                    _ => None,
                };
                list.args.iter().find_map(argument).and_then(|span| location(span.start))
            }
            _ => None,
        }
    }
}

impl Visitor for Finder<'_> {
    type Break = Location;

    fn post_visit_query(&mut self, query: &Query) -> Found {
        found(self.in_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> Found {
        self.grouped.extend(group_expressions(select).filter(|by| is_marker(by)).map(Spanned::span));
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &Select) -> Found {
        found(self.in_select(select))
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Found {
        let is_named = |name: &str| matches!(relation.0.as_slice(), [part] if part.as_ident().is_some_and(|part| normalize(part) == *name));
        found(match self.subject {
            Subject::Table(name) if is_named(name) => start(relation),
            _ => None,
        })
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Found {
        found(match (self.subject, factor) {
            (Subject::Sample, TableFactor::Table { sample: Some(_), .. }) => {
                self.keyword_after(Keyword::TABLESAMPLE, factor.span().start).or_else(|| start(factor))
            }
            _ => None,
        })
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> Found {
        found(match (self.subject, expression) {
            (_, Expr::Function(call)) => self.in_call(call),
            (Subject::SubQuery, Expr::Subquery(query)) => start(query.as_ref()),
            (Subject::SubQuery, Expr::Exists { subquery, .. } | Expr::InSubquery { subquery, .. }) => {
                start(subquery.as_ref())
            }
            (Subject::GroupingSet, Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_)) => {
                self.keyword_before(&[Keyword::GROUPING, Keyword::CUBE, Keyword::ROLLUP], expression.span().start)
            }
            _ => None,
        })
    }
}

fn is_keyword(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if keywords.contains(&word.keyword))
}

/// What a SELECT groups by; numbers and aliases are replaced by the columns that they stand for.
fn group_expressions(select: &Select) -> impl Iterator<Item = &Expr> {
    let expressions = match &select.group_by {
        GroupByExpr::Expressions(expressions, _) => expressions.as_slice(),
        GroupByExpr::All(_) => &[],
    };
    expressions.iter().map(|expression| column_of(select, expression).unwrap_or(expression))
}

fn column_of<'a>(select: &'a Select, by: &Expr) -> Option<&'a Expr> {
    let item = match by {
        Expr::Value(value) => {
            let Value::Number(number, _) = &value.value else { return None };
            select.projection.get(number.parse::<usize>().ok()?.checked_sub(1)?)?
        }
        Expr::Identifier(name) => select.projection.iter().find(
            |item| matches!(item, SelectItem::ExprWithAlias { alias, .. } if normalize(alias) == normalize(name)),
        )?,
        _ => return None,
    };
    match item {
        SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => Some(expression),
        _ => None,
    }
}

fn is_marker(expression: &Expr) -> bool {
    matches!(expression, Expr::Function(call) if is_window(call))
}

fn is_window(call: &Function) -> bool {
    matches!(call.name.0.as_slice(), [part]
        if part.as_ident().is_some_and(|name| WindowKind::ALL.iter().any(|kind| kind.name() == normalize(name))))
}
