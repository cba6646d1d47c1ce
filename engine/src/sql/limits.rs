//! What is refused before it is planned: statements too large for DataFusion, and clauses that it would read over in silence.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::diagnose::sql_error;
use super::script::{Statement, StatementKind, find_word};
use crate::error::{Error, Result};

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
    let query = match &statement.kind {
        StatementKind::CreateView(_, query) | StatementKind::Insert(_, query) | StatementKind::Query(query) => query,
        StatementKind::CreateTable(_) | StatementKind::CreateFunction(_) | StatementKind::Set(..) => return Ok(()),
    };
    let sample = find_word(&statement.tokens, "TABLESAMPLE");
    if sample.is_some() {
        return Err(Error::invalid("TABLESAMPLE is not supported").hint("filter rows in WHERE instead").at(sample));
    }
    if !query.locks.is_empty() {
        let place = find_word(&statement.tokens, "FOR");
        return Err(Error::invalid("FOR UPDATE and FOR SHARE are not supported").hint("leave it out").at(place));
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
