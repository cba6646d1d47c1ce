//! SQL to a [`Pipeline`]: the only way in.
//!
//! ```text
//! text ─script─▶ statements ─catalog, table─▶ names ─DataFusion─▶ logical plan ─lower─▶ stages
//! ```
//! Nothing runs here, and everything that can be wrong with a script is found here, with its place and a way out.

pub mod catalog;
pub mod explain;
mod feed;
pub mod functions;
mod lower;
pub mod script;
mod table;
pub mod window;

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::SchemaError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection};
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    Expr as AstExpr, Ident, Query, SelectItem, SetExpr, Statement as AstStatement, TableFactor,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::connector::Connectors;
use crate::error::{Error, Location, Result};
use crate::options::parse_bytes;
use crate::plan::{BadRecordPolicy, Dataflow, Pipeline, RESULTS, SinkPlan, TableDef, dead_letter_columns};
use catalog::Catalog;
use script::{Statement, StatementKind, find_word, parse};

/// A script with what surrounds it.
pub struct PlanRequest<'a> {
    /// The script.
    pub text: &'a str,
    /// The outside world, as far as planning needs it.
    pub connectors: &'a dyn Connectors,
    /// Settings by name: `<table>.<option>` overrides a table's option, others are the pipeline's own.
    pub settings: &'a BTreeMap<String, String>,
}

/// Memory of a pipeline's operators where no setting says otherwise.
const MEMORY_BYTES: usize = 2 << 30;
/// Expressions nested deeper than this are refused: evaluating them could outgrow a thread's stack.
const MAX_DEPTH: usize = 400;
/// Stack of the planning thread: parse trees are dropped recursively.
const STACK_BYTES: usize = 512 << 20;

/// Plans a script.
pub fn plan(request: &PlanRequest<'_>) -> Result<Pipeline> {
    // A long chain of operators makes a deep tree; it is taken apart on a stack that is large enough for any script that the
    // parser lets through. The memory is reserved, not used.
    std::thread::scope(|scope| {
        let planner = std::thread::Builder::new().name("plan".into()).stack_size(STACK_BYTES);
        let handle = planner
            .spawn_scoped(scope, || plan_here(request))
            .map_err(|error| Error::Unavailable(format!("cannot start a thread to plan the script: {error}")))?;
        handle.join().unwrap_or_else(|_| Err(Error::internal("planning panicked")))
    })
}

/// What a script binds to before it is cut into stages: for each INSERT its sink and its analysed logical plan, in which
/// windows are still calls of `tumble`, `hop` and `session`. Tests run these with batch DataFusion as the oracle.
pub struct Bound {
    /// Tables, views and functions.
    pub catalog: Catalog,
    /// Per INSERT.
    pub inserts: Vec<BoundInsert>,
    /// `SET name = value`, and settings that are no table's.
    settings: BTreeMap<String, String>,
}

/// One INSERT, bound.
pub struct BoundInsert {
    /// Where its rows go.
    pub sink: SinkPlan,
    /// What they are.
    pub plan: LogicalPlan,
    statement: Statement,
}

fn plan_here(request: &PlanRequest<'_>) -> Result<Pipeline> {
    let bound = bind(request)?;
    let memory_bytes = memory_setting(&bound.settings)?;
    let mut sinks: Vec<SinkPlan> = Vec::new();
    let mut dataflows = Vec::new();
    for (index, insert) in bound.inserts.into_iter().enumerate() {
        let statement = insert.statement;
        let fingerprint = fingerprint(&insert.plan);
        let stages = lower::lower(&bound.catalog, index + 1, insert.plan, &insert.sink.name)
            .map_err(|error| place(error, &statement))?;
        for stage in &stages {
            add_side_sinks(&bound.catalog, stage, &mut sinks);
        }
        add_sink(&mut sinks, insert.sink.clone());
        dataflows.push(Dataflow { stages, sink: insert.sink.name, fingerprint });
    }
    Ok(Pipeline { dataflows, sinks, memory_bytes })
}

/// Binds a script's names; see [`Bound`].
pub fn bind(request: &PlanRequest<'_>) -> Result<Bound> {
    let mut catalog = Catalog::new()?;
    let mut inserts = Vec::new();
    let mut settings = request.settings.clone();
    let statements = parse(request.text)?;
    for statement in &statements {
        let bound = bind_statement(request, &mut catalog, statement, &mut settings, inserts.len());
        inserts.extend(bound.map_err(|error| place(error, statement))?);
    }
    for statement in &statements {
        if let StatementKind::CreateTable(ddl) = &statement.kind {
            check_side_tables(&catalog, &ddl.name).map_err(|error| place(error, statement))?;
        }
    }
    if inserts.is_empty() {
        return Err(Error::invalid("the script has nothing to run").hint("add INSERT INTO sink SELECT …, or a SELECT"));
    }
    check_settings(&catalog, &settings)?;
    Ok(Bound { catalog, inserts, settings })
}

fn bind_statement(
    request: &PlanRequest<'_>,
    catalog: &mut Catalog,
    statement: &Statement,
    settings: &mut BTreeMap<String, String>,
    n_inserts: usize,
) -> Result<Option<BoundInsert>> {
    check_operators(statement)?;
    check_clauses(statement)?;
    match &statement.kind {
        StatementKind::CreateTable(ddl) => {
            let def = table::define(catalog, request, ddl)?;
            catalog.add_table(def)?;
            Ok(None)
        }
        StatementKind::CreateView(name, query) => {
            let plan = logical_plan(catalog, &with_window_names(query))?;
            catalog.add_view(name, plan)?;
            Ok(None)
        }
        StatementKind::Set(name, value) => {
            // What the command line says outranks the script.
            settings.entry(name.clone()).or_insert_with(|| value.clone());
            Ok(None)
        }
        StatementKind::Insert(name, query) => {
            let plan = logical_plan(catalog, &with_own_names(query))?;
            let sink = sink_table(catalog, name)?;
            let plan = analyze(catalog, cast_to_sink(plan, &sink)?)?;
            Ok(Some(BoundInsert { sink, plan, statement: statement.clone() }))
        }
        StatementKind::Query(query) => {
            let plan = analyze(catalog, logical_plan(catalog, &with_window_names(query))?)?;
            let name = if n_inserts == 0 { RESULTS.to_owned() } else { format!("{RESULTS}_{}", n_inserts + 1) };
            let schema = Arc::new(plan.schema().as_arrow().clone());
            let sink = SinkPlan { name: name.into(), schema, table: None };
            Ok(Some(BoundInsert { sink, plan, statement: statement.clone() }))
        }
    }
}

/// Operators in one statement; DataFusion's time to plan a chain of them grows with its square.
const MAX_OPERATORS: usize = 2_000;

fn check_operators(statement: &Statement) -> Result<()> {
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
fn check_clauses(statement: &Statement) -> Result<()> {
    let query = match &statement.kind {
        StatementKind::CreateView(_, query) | StatementKind::Insert(_, query) | StatementKind::Query(query) => query,
        StatementKind::CreateTable(_) | StatementKind::Set(..) => return Ok(()),
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

fn logical_plan(catalog: &Catalog, query: &Query) -> Result<LogicalPlan> {
    let statement = DfStatement::Statement(Box::new(AstStatement::Query(Box::new(query.clone()))));
    let plan = catalog.sql().statement_to_plan(statement).map_err(sql_error)?;
    check_depth(&plan)?;
    Ok(plan)
}

fn analyze(catalog: &Catalog, plan: LogicalPlan) -> Result<LogicalPlan> {
    let config = catalog.state.config_options();
    catalog.state.analyzer().execute_and_check(plan, config, |_, _| {}).map_err(sql_error)
}

/// Refuses expressions that are nested too deep to be evaluated on a task's stack.
fn check_depth(plan: &LogicalPlan) -> Result<()> {
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

/// Calls `window.start` `start` and `window.end` `end` where nothing else in a SELECT is called so; in derived tables and CTEs too.
fn with_window_names(query: &Query) -> Query {
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

/// INSERT goes by position, so two columns may have the same name; DataFusion wants them told apart.
fn with_own_names(query: &Query) -> Query {
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

fn sink_table(catalog: &Catalog, name: &str) -> Result<SinkPlan> {
    let Some(def) = catalog.table(name) else {
        return Err(Error::invalid(format!(
            "there is no table `{name}` to insert into; there are {}",
            catalog::list(catalog.names())
        ))
        .hint(format!("add CREATE TABLE {name} (…) WITH (connector = '…')")));
    };
    if !def.table.is_sink() {
        return Err(Error::invalid(format!("table `{name}` can only be read"))
            .hint("insert into a table with a sink connector"));
    }
    Ok(sink_of(def))
}

fn sink_of(def: &TableDef) -> SinkPlan {
    SinkPlan { name: Arc::clone(&def.name), schema: def.schema(), table: Some(Arc::clone(&def.table)) }
}

/// Brings a query's columns to the sink's types and names, by position.
fn cast_to_sink(plan: LogicalPlan, sink: &SinkPlan) -> Result<LogicalPlan> {
    let (n_given, n_wanted) = (plan.schema().fields().len(), sink.schema.fields().len());
    if n_given != n_wanted {
        let wanted = catalog::list(sink.schema.fields().iter().map(|field| field.name().as_str()));
        return Err(Error::invalid(format!(
            "the query has {n_given} columns, but table `{}` has {n_wanted}",
            sink.name
        ))
        .hint(format!("select {wanted}, in this order")));
    }
    let schema = Arc::clone(plan.schema());
    let mut columns = Vec::new();
    for (column, field) in schema.columns().into_iter().zip(sink.schema.fields()) {
        let name = column.name.clone();
        let cast = Expr::Column(column).cast_to(field.data_type(), schema.as_ref()).map_err(|_| {
            let given = schema.field_with_unqualified_name(&name).map(|field| field.data_type().to_string());
            Error::invalid(format!(
                "column `{name}` is {}, which cannot become `{}` {} of table `{}`",
                given.unwrap_or_default(),
                field.name(),
                field.data_type(),
                sink.name
            ))
            .hint("CAST it in the query, or change the table's column")
        })?;
        columns.push(cast.alias(field.name()));
    }
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan)).map_err(sql_error)?))
}

fn check_side_tables(catalog: &Catalog, name: &str) -> Result<()> {
    let Some(def) = catalog.table(name) else { return Ok(()) };
    if let Some(late) = &def.late_table {
        table::check_side_table(catalog, def, "late_table", late, def.raw_schema().fields())?;
    }
    if let BadRecordPolicy::DeadLetter(target) = &def.bad_record {
        let offered: Vec<FieldRef> =
            dead_letter_columns().into_iter().map(|(name, kind)| Arc::new(Field::new(name, kind, true))).collect();
        table::check_side_table(catalog, def, "dead_letter_table", target, &offered)?;
    }
    Ok(())
}

fn add_side_sinks(catalog: &Catalog, stage: &crate::plan::Stage, sinks: &mut Vec<SinkPlan>) {
    let crate::plan::StageInput::Table(source) = &stage.input else { return };
    let mut names: Vec<&str> = source.table.late_table.as_deref().into_iter().collect();
    if let BadRecordPolicy::DeadLetter(name) = &source.table.bad_record {
        names.push(name);
    }
    for def in names.into_iter().filter_map(|name| catalog.table(name)) {
        add_sink(sinks, sink_of(def));
    }
}

fn add_sink(sinks: &mut Vec<SinkPlan>, sink: SinkPlan) {
    if sinks.iter().all(|known| known.name != sink.name) {
        sinks.push(sink);
    }
}

/// The settings that are no table's.
const SETTINGS: [&str; 1] = ["memory"];

fn check_settings(catalog: &Catalog, settings: &BTreeMap<String, String>) -> Result<()> {
    for name in settings.keys() {
        let is_table_option = name.split_once('.').is_some_and(|(table, _)| catalog.table(table).is_some());
        if !is_table_option && !SETTINGS.contains(&name.as_str()) {
            return Err(Error::invalid(format!("unknown setting `{name}`"))
                .hint(format!("valid are {}, and `<table>.<option>` for a table's options", catalog::list(SETTINGS))));
        }
    }
    Ok(())
}

fn memory_setting(settings: &BTreeMap<String, String>) -> Result<usize> {
    let Some(text) = settings.get("memory") else { return Ok(MEMORY_BYTES) };
    let bytes = parse_bytes(text).and_then(|bytes| usize::try_from(bytes).ok()).filter(|bytes| 0 < *bytes);
    bytes.ok_or_else(|| {
        Error::invalid(format!("setting `memory` cannot be `{text}`")).hint("write a size such as '512MiB'")
    })
}

/// A number for a plan that another plan is unlikely to have: FNV-1a over its text, stable across builds and machines.
fn fingerprint(plan: &LogicalPlan) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(plan.display_indent_schema().to_string().as_bytes());
    hasher.finish()
}

/// DataFusion's planning errors as ours: its diagnostic's words and place where it has one.
pub(crate) fn sql_error(error: DataFusionError) -> Error {
    if let DataFusionError::External(inner) = error {
        return match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => Error::invalid(other.to_string()),
        };
    }
    let diagnostic = error.diagnostic();
    let location = diagnostic
        .and_then(|diagnostic| diagnostic.span)
        .map(|span| Location { line: span.start.line, column: span.start.column });
    let message = match error.find_root() {
        DataFusionError::SQL(inner, _) => inner.to_string(),
        DataFusionError::SchemaError(inner, _) => return schema_error(inner).at(location),
        root => root.strip_backtrace(),
    };
    if message.contains("range queries on datatype: Struct") {
        return Error::invalid("OVER (… ORDER BY window) is not supported: a window is no number")
            .hint("a window function sees one window only: PARTITION BY window, and order by something else")
            .at(location);
    }
    if message.contains("null_aware anti join") {
        return Error::invalid("NOT IN with a sub-query over windows is not supported")
            .hint("use NOT EXISTS")
            .at(location);
    }
    for kind in functions::WindowKind::ALL {
        if message.contains(&format!("'{}'", kind.name())) {
            return Error::invalid(format!("{}: expected literal intervals", kind.usage()))
                .hint("write an interval as INTERVAL '5 minutes'")
                .at(location);
        }
    }
    Error::invalid(tidy(&message)).at(location)
}

fn schema_error(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
            Error::invalid(format!("there is no column `{}`; there are {}", field.name, catalog::list(names)))
        }
        other => Error::invalid(tidy(&other.to_string())),
    }
}

/// One line, without DataFusion's prefixes.
fn tidy(message: &str) -> String {
    let mut message = message.trim();
    for prefix in
        ["Error during planning: ", "Schema error: ", "This feature is not implemented: ", "type_coercion\ncaused by\n"]
    {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    let lines = message.split(['\n', '\t']).map(|line| line.trim().trim_end_matches('.'));
    let message = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    // Some messages end in a print of the syntax tree, which helps nobody.
    let trees = ["Identifier(Ident", "Substring {", "Function(Function"];
    let end = trees.iter().filter_map(|tree| message.find(tree)).min().unwrap_or(message.len());
    script::uncapitalize(message[..end].trim_end())
}

/// Clauses that a message may be about, by the word that they begin with in a script.
const CLAUSES: [&str; 11] =
    ["tumble", "hop", "session", "LIMIT", "ORDER", "DISTINCT", "JOIN", "ROLLUP", "CUBE", "GROUPING", "OVER"];

/// Gives an error a place: its own, else that of a name in backticks or quotes, else that of the clause it is about, else the
/// statement's.
fn place(error: Error, statement: &Statement) -> Error {
    let Error::Invalid(diagnostic) = &error else { return error };
    let message = &diagnostic.message;
    let quoted = message.split(['`', '\'']).skip(1).step_by(2).flat_map(|quoted| quoted.rsplit('.'));
    let clauses = CLAUSES.into_iter().filter(|clause| message.to_lowercase().contains(&clause.to_lowercase()));
    let found = quoted.chain(clauses).find_map(|word| find_word(&statement.tokens, word));
    error.at(found.or(Some(statement.location)))
}

impl PlanRequest<'_> {
    /// Replaces `${env:NAME}` and `${file:path}` in an option's value.
    pub(crate) fn resolve(&self, value: &str) -> Result<String> {
        let Some((before, rest)) = value.split_once("${") else { return Ok(value.to_owned()) };
        let Some((reference, after)) = rest.split_once('}') else {
            return Err(Error::invalid(format!("`{value}` has `${{` without `}}`")));
        };
        let Some((kind, name)) = reference.split_once(':') else {
            return Err(Error::invalid(format!("`${{{reference}}}` is neither `${{env:NAME}}` nor `${{file:path}}`")));
        };
        let resolved = self.connectors.variable(kind, name)?;
        Ok(format!("{before}{resolved}{}", self.resolve(after)?))
    }
}
