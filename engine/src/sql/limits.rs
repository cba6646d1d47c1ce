//! What is refused before it is planned: statements too large for DataFusion, and clauses that it would read over in silence.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::diagnose::sql_error;
use super::locate::find;
use super::script::Statement;
use crate::error::{Error, Result, Subject};

/// Expressions nested deeper than this are refused: evaluating them could outgrow a thread's stack.
const MAX_DEPTH: usize = 400;
/// Operators in one statement; DataFusion's time to plan a chain of them grows with its square.
const MAX_OPERATORS: usize = 2_000;

pub(super) fn check_operators(statement: &Statement) -> Result<()> {
    let is_operator = |token: &Token| match token {
        Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::StringConcat => true,
        Token::Word(word) => matches!(word.keyword, Keyword::AND | Keyword::OR),
        _ => false,
    };
    let n_operators = statement.tokens.iter().filter(|token| is_operator(&token.token)).count();
    if MAX_OPERATORS < n_operators {
        return Err(Error::invalid(format!("the statement has {n_operators} operators; the limit is {MAX_OPERATORS}"))
            .hint("compute parts of it in a view, or use IN (…) instead of a chain of OR"));
    }
    Ok(())
}

/// Clauses that DataFusion would read over in silence.
pub(super) fn check_clauses(statement: &Statement) -> Result<()> {
    if let Some(at) = find(statement, &Subject::Sample) {
        return Err(Error::invalid("TABLESAMPLE is not supported").hint("filter rows in WHERE instead").at(Some(at)));
    }
    if let Some(at) = find(statement, &Subject::Lock) {
        return Err(Error::invalid("FOR UPDATE and FOR SHARE are not supported").hint("leave it out").at(Some(at)));
    }
    Ok(())
}

/// Refuses expressions that are nested too deep to be evaluated on a task's stack.
pub(super) fn check_depth(plan: &LogicalPlan) -> Result<()> {
    let mut deepest = 0;
    plan.apply_with_subqueries(|node| {
        for expression in node.expressions() {
            deepest = deepest.max(depth(&expression));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    if MAX_DEPTH < deepest {
        return Err(Error::invalid(format!("an expression is nested {deepest} levels deep; the limit is {MAX_DEPTH}"))
            .hint("compute parts of it in a view, or use IN (…) instead of a chain of OR"));
    }
    Ok(())
}

/// Refuses GROUP BY, DISTINCT and ORDER BY above `unnest` of grouped rows.
///
/// DataFusion 55 takes the keys of the lower GROUP BY for unique above `unnest` too, although each group has become several rows:
/// it would group by what was unnested as well, leave DISTINCT out, and sort by the keys alone. Wrong rows, in silence.
pub(super) fn check_unnest(plan: &LogicalPlan) -> Result<()> {
    let mut clause = None;
    plan.apply_with_subqueries(|node| {
        let found = match node {
            LogicalPlan::Aggregate(aggregate) => Some(("GROUP BY", Subject::GroupBy, &*aggregate.input)),
            LogicalPlan::Distinct(distinct) => Some(("DISTINCT", Subject::Distinct, &**distinct.input())),
            LogicalPlan::Sort(sort) => Some(("ORDER BY", Subject::OrderBy, &*sort.input)),
            _ => None,
        };
        if let Some((name, subject, input)) = found
            && !input.schema().functional_dependencies().is_empty()
            && is_unnested(input)
        {
            clause = Some((name, subject));
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(sql_error)?;
    let Some((clause, subject)) = clause else { return Ok(()) };
    Err(Error::invalid(format!("{clause} over unnest() of rows that were grouped is not supported"))
        .hint("use functions of lists, such as array_sort, array_length or array_distinct, in place of unnest()")
        .about(subject))
}

/// Whether rows come out of an `unnest` with no GROUP BY after it.
fn is_unnested(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Unnest(_) => true,
        LogicalPlan::Aggregate(_) => false,
        other => other.inputs().into_iter().any(is_unnested),
    }
}

fn depth(expression: &Expr) -> usize {
    use datafusion::common::tree_node::TreeNode;
    let mut deepest = 0;
    let walked = expression.apply_children(|child| {
        deepest = deepest.max(depth(child));
        Ok(TreeNodeRecursion::Continue)
    });
    debug_assert!(walked.is_ok(), "the closure never fails");
    deepest + 1
}
