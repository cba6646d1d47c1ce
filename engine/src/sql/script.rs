//! A script's text to statements: Davy's DDL by hand, every query by sqlparser.
//!
//! sqlparser knows neither `WATERMARK FOR` nor `METADATA FROM` nor free option names in `WITH`, so CREATE TABLE is parsed here
//! with its token helpers; queries and views go to it whole. Every statement keeps its location for error messages.

use datafusion::sql::sqlparser::ast::{self, DataType, Expr, Ident, Query};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::function::{self, CreateFunction};
use crate::error::{Error, Location, Result};

/// Nesting that the parser follows before it refuses; DataFusion's own recursion is guarded by growing stacks.
const MAX_NESTING: usize = 250;
/// A script longer than this is refused before it is read.
const MAX_SCRIPT_BYTES: usize = 1 << 20;

/// One statement with its location.
#[derive(Clone, Debug)]
pub struct Statement {
    pub location: Location,
    /// Its tokens, which have the locations of keywords.
    pub tokens: Vec<TokenWithSpan>,
    pub kind: StatementKind,
}

/// The statements of the dialect.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// CREATE TABLE … WITH (…).
    CreateTable(Box<CreateTable>),
    /// CREATE FUNCTION name USING ….
    CreateFunction(CreateFunction),
    /// CREATE VIEW name AS query.
    CreateView(Ident, Box<Query>),
    /// INSERT INTO table query.
    Insert(Ident, Box<Query>),
    /// A query on its own: its rows go to the caller.
    Query(Box<Query>),
    /// SET name = value.
    Set(String, String),
}

impl StatementKind {
    pub fn query(&self) -> Option<&Query> {
        match self {
            Self::CreateView(_, query) | Self::Insert(_, query) | Self::Query(query) => Some(query),
            Self::CreateTable(_) | Self::CreateFunction(_) | Self::Set(..) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct CreateTable {
    pub name: Ident,
    pub columns: Vec<ColumnDdl>,
    /// `WATERMARK FOR column [AS expression]`.
    pub watermark: Option<(Ident, Option<Expr>)>,
    pub options: Vec<(String, String, Location)>,
}

#[derive(Clone, Debug)]
pub struct ColumnDdl {
    pub name: Ident,
    pub data_type: DataType,
    pub not_null: bool,
    /// Where its values come from.
    pub from: ColumnFrom,
}

/// Where a column's values come from.
#[derive(Clone, Debug)]
pub enum ColumnFrom {
    Record,
    /// `METADATA FROM 'name'`.
    Metadata(String),
    /// `GENERATED ALWAYS AS (expression)`.
    Generated(Box<Expr>),
}

/// Parses a whole script.
pub fn parse(text: &str) -> Result<Vec<Statement>> {
    if MAX_SCRIPT_BYTES < text.len() {
        return Err(Error::invalid(format!("the script has {} bytes; the limit is {MAX_SCRIPT_BYTES}", text.len())));
    }
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| Error::invalid(error.message).at(location(error.location)))?;
    let mut parser = Parser::new(&dialect).with_recursion_limit(MAX_NESTING).with_tokens_with_locations(tokens.clone());
    let mut statements = Vec::new();
    loop {
        while parser.consume_token(&Token::SemiColon) {}
        let first = parser.peek_token();
        if first.token == Token::EOF {
            return Ok(statements);
        }
        let begin = parser.index();
        let at = location(first.span.start);
        let kind = parse_statement(&mut parser).map_err(|error| parse_error(&mut parser, error).at(at))?;
        let next = parser.peek_token();
        if next.token != Token::EOF && !parser.consume_token(&Token::SemiColon) {
            return Err(Error::invalid(format!("expected `;` or the end of the script, found `{next}`"))
                .at(location(next.span.start)));
        }
        let tokens = tokens[begin..parser.index().min(tokens.len())].to_vec();
        statements.push(Statement { location: at.unwrap_or(Location { line: 1, column: 1 }), tokens, kind });
    }
}

/// sqlparser's location, if it has one.
pub fn location(at: datafusion::sql::sqlparser::tokenizer::Location) -> Option<Location> {
    (0 < at.line).then_some(Location { line: at.line, column: at.column })
}

/// Turns a parser's error into ours; its message ends with the location, which becomes a field.
fn parse_error(parser: &mut Parser<'_>, error: ParserError) -> Error {
    let here = location(parser.peek_token().span.start);
    let message = match error {
        ParserError::RecursionLimitExceeded => {
            return Error::invalid(format!("the statement is nested more than {MAX_NESTING} levels deep"))
                .hint("split it into views")
                .at(here);
        }
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
    };
    let Some((what, at)) = message.split_once(" at Line: ") else {
        return Error::invalid(lower_first(&message)).at(here);
    };
    let mut numbers = at.split(", Column: ").map(str::parse::<u64>);
    let at = match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => Some(Location { line, column }),
        _ => here,
    };
    Error::invalid(lower_first(what)).at(at)
}

fn lower_first(message: &str) -> String {
    let message = message.trim_start_matches("sql parser error: ");
    uncapitalize(message)
}

/// A sentence with its first character in lower case; an abbreviation or a keyword stays as it is.
pub fn uncapitalize(message: &str) -> String {
    let mut characters = message.chars();
    let Some(first) = characters.next() else { return String::new() };
    match characters.clone().next() {
        Some(second) if second.is_lowercase() => first.to_lowercase().chain(characters).collect(),
        _ => message.to_owned(),
    }
}

/// What a parser gives.
pub(super) type Parsed<T> = std::result::Result<T, ParserError>;

fn parse_statement(parser: &mut Parser<'_>) -> Parsed<StatementKind> {
    let first = parser.peek_token();
    let Token::Word(word) = &first.token else {
        if first.token == Token::LParen {
            return Ok(StatementKind::Query(parser.parse_query()?));
        }
        return parser.expected("a statement", first);
    };
    match word.keyword {
        Keyword::CREATE => parse_create(parser),
        Keyword::INSERT => parse_insert(parser),
        Keyword::SELECT | Keyword::WITH | Keyword::VALUES => Ok(StatementKind::Query(parser.parse_query()?)),
        Keyword::SET => parse_set(parser),
        Keyword::EXPLAIN => refuse(&first, "EXPLAIN is a command, not a statement; run `davy explain` on the script"),
        _ => refuse(
            &first,
            &format!(
                "statement `{}` is not supported; a script has CREATE TABLE, CREATE VIEW, CREATE FUNCTION, INSERT INTO, SELECT and SET",
                word.value
            ),
        ),
    }
}

/// Refuses a statement at a token.
pub(super) fn refuse<T>(at: &TokenWithSpan, message: &str) -> Parsed<T> {
    Err(ParserError::ParserError(format!("{message}{}", at.span.start)))
}

fn parse_create(parser: &mut Parser<'_>) -> Parsed<StatementKind> {
    parser.expect_keyword(Keyword::CREATE)?;
    let what = parser.next_token();
    match &what.token {
        Token::Word(word) if word.keyword == Keyword::TABLE => {
            parse_create_table(parser).map(|table| StatementKind::CreateTable(Box::new(table)))
        }
        Token::Word(word) if word.keyword == Keyword::VIEW => {
            let name = parse_name(parser)?;
            parser.expect_keyword(Keyword::AS)?;
            Ok(StatementKind::CreateView(name, parser.parse_query()?))
        }
        Token::Word(word) if word.keyword == Keyword::FUNCTION => {
            function::parse(parser).map(StatementKind::CreateFunction)
        }
        _ => {
            refuse(&what, &format!("CREATE {what} is not supported; use CREATE TABLE, CREATE VIEW or CREATE FUNCTION"))
        }
    }
}

/// A plain name, normalised.
pub(super) fn parse_name(parser: &mut Parser<'_>) -> Parsed<Ident> {
    let token = parser.peek_token();
    let name = parser.parse_object_name(false)?;
    match name.0.as_slice() {
        [part] => match part.as_ident() {
            Some(name) => Ok(Ident { value: normalize(name), ..name.clone() }),
            None => refuse(&token, "expected a plain name"),
        },
        _ => refuse(&token, &format!("name `{name}` has a schema; Davy's tables live in one flat space")),
    }
}

/// Folds case as PostgreSQL does: plain names to lower case, quoted ones as they are.
pub fn normalize(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn parse_create_table(parser: &mut Parser<'_>) -> Parsed<CreateTable> {
    let name = parse_name(parser)?;
    let mut table = CreateTable { name, columns: Vec::new(), watermark: None, options: Vec::new() };
    if parser.consume_token(&Token::LParen) {
        loop {
            if parser.peek_token() == Token::RParen {
                break;
            }
            parse_element(parser, &mut table)?;
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
        parser.expect_token(&Token::RParen)?;
    }
    parser.expect_keyword(Keyword::WITH)?;
    table.options = parse_options(parser)?;
    Ok(table)
}

/// `(name = 'value', …)`, with their locations.
pub(super) fn parse_options(parser: &mut Parser<'_>) -> Parsed<Vec<(String, String, Location)>> {
    parser.expect_token(&Token::LParen)?;
    let mut options = Vec::new();
    loop {
        if parser.consume_token(&Token::RParen) {
            return Ok(options);
        }
        options.push(parse_option(parser)?);
        if !parser.consume_token(&Token::Comma) {
            parser.expect_token(&Token::RParen)?;
            return Ok(options);
        }
    }
}

fn parse_element(parser: &mut Parser<'_>, table: &mut CreateTable) -> Parsed<()> {
    let first = parser.peek_token();
    let is_watermark = matches!(&first.token, Token::Word(word) if word.value.eq_ignore_ascii_case("watermark"))
        && matches!(parser.peek_nth_token(1).token, Token::Word(word) if word.keyword == Keyword::FOR);
    if !is_watermark {
        table.columns.push(parse_column(parser)?);
        return Ok(());
    }
    if table.watermark.is_some() {
        return refuse(&first, "a table has one WATERMARK");
    }
    parser.next_token();
    parser.next_token();
    let column = parser.parse_identifier()?;
    let expression = if parser.parse_keyword(Keyword::AS) { Some(parser.parse_expr()?) } else { None };
    table.watermark = Some((column, expression));
    Ok(())
}

fn parse_column(parser: &mut Parser<'_>) -> Parsed<ColumnDdl> {
    let name = parser.parse_identifier()?;
    let data_type = parser.parse_data_type()?;
    let mut column = ColumnDdl { name, data_type, not_null: false, from: ColumnFrom::Record };
    loop {
        let next = parser.peek_token();
        if matches!(next.token, Token::Comma | Token::RParen) {
            return Ok(column);
        }
        if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
            column.not_null = true;
        } else if parser.parse_keyword(Keyword::NULL) {
            column.not_null = false;
        } else if parser.parse_keyword(Keyword::METADATA) {
            parser.expect_keyword(Keyword::FROM)?;
            column.from = ColumnFrom::Metadata(parser.parse_literal_string()?);
        } else if parser.parse_keywords(&[Keyword::GENERATED, Keyword::ALWAYS, Keyword::AS]) {
            parser.expect_token(&Token::LParen)?;
            column.from = ColumnFrom::Generated(Box::new(parser.parse_expr()?));
            parser.expect_token(&Token::RParen)?;
            let _stored_or_not = parser.parse_keyword(Keyword::STORED) || parser.parse_keyword(Keyword::VIRTUAL);
        } else if next.token == Token::Lt {
            return refuse(
                &next,
                &format!(
                    "a column of type {}<…> cannot be declared; declare a column for each field, and select them: a window w \
                     is w.start and w.\"end\"",
                    column.data_type
                ),
            );
        } else {
            return refuse(
                &next,
                &format!(
                    "column option `{next}` is not supported; use NOT NULL, METADATA FROM '…' or GENERATED ALWAYS AS (…)"
                ),
            );
        }
    }
}

fn parse_option(parser: &mut Parser<'_>) -> Parsed<(String, String, Location)> {
    let first = parser.next_token();
    let mut name = option_word(&first)?;
    while parser.consume_token(&Token::Period) {
        let part = parser.next_token();
        name = format!("{name}.{}", option_word(&part)?);
    }
    parser.expect_token(&Token::Eq)?;
    let token = parser.next_token();
    let value = match token.token {
        Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => text,
        Token::Number(text, _) => text,
        Token::Word(word) if matches!(word.keyword, Keyword::TRUE | Keyword::FALSE) => word.value.to_lowercase(),
        _ => return refuse(&token, &format!("expected a value such as 'text' for option `{name}`, found `{token}`")),
    };
    Ok((name, value, location(first.span.start).unwrap_or(Location { line: 1, column: 1 })))
}

fn option_word(token: &TokenWithSpan) -> Parsed<String> {
    match &token.token {
        Token::Word(word) => Ok(word.value.clone()),
        Token::SingleQuotedString(text) => Ok(text.clone()),
        _ => refuse(token, &format!("expected an option's name, found `{token}`")),
    }
}

fn parse_insert(parser: &mut Parser<'_>) -> Parsed<StatementKind> {
    parser.expect_keywords(&[Keyword::INSERT, Keyword::INTO])?;
    let name = parse_name(parser)?;
    let next = parser.peek_token();
    if next.token == Token::LParen
        && matches!(parser.peek_nth_token(1).token, Token::Word(word) if !is_query_start(word.keyword))
    {
        return refuse(
            &next,
            "a column list after INSERT INTO is not supported; select the columns in the table's order",
        );
    }
    Ok(StatementKind::Insert(name, parser.parse_query()?))
}

fn is_query_start(keyword: Keyword) -> bool {
    matches!(keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES)
}

fn parse_set(parser: &mut Parser<'_>) -> Parsed<StatementKind> {
    parser.expect_keyword(Keyword::SET)?;
    let (name, value, _) = parse_option(parser)?;
    Ok(StatementKind::Set(name.to_lowercase(), value))
}

/// A DDL column as sqlparser's own, so that DataFusion can turn its type into arrow's.
pub fn as_column_def(column: &ColumnDdl) -> ast::ColumnDef {
    ast::ColumnDef { name: column.name.clone(), data_type: column.data_type.clone(), options: Vec::new() }
}
