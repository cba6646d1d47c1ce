//! CREATE TABLE to a checked table: types, options, connector, event time.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::logical_expr::{Expr, ExprSchemable, col};
use datafusion::sql::planner::PlannerContext;
use datafusion::sql::sqlparser::ast;

use super::catalog::{Catalog, expression_schema, inline_generated, list};
use super::script::{ColumnDdl, ColumnFrom, CreateTable, as_column_def, normalize};
use super::side::side_topics;
use super::{PlanRequest, early, fingerprint, lookup, max_keys, row_policy, sql_error};
use crate::connector::{Table, TableRequest};
use crate::error::{Error, Location, Result};
use crate::format::Format;
use crate::options::Options;
use crate::plan::{BadRecordPolicy, Column, ColumnSource, Metadata, TableDef};
use crate::time::TIMESTAMP;

/// Makes the table of a CREATE TABLE, and those that it brings along.
pub(super) fn define(catalog: &Catalog, request: &PlanRequest<'_>, ddl: &CreateTable) -> Result<Vec<TableDef>> {
    let name = ddl.name.value.as_str();
    let mut options = request.options(Options::new(name), name, &ddl.options)?;
    let data = fingerprint::of_data(&options);
    let connector = options.require("connector")?;
    let format = match options.take("format") {
        Some(format) => {
            let made = Format::from_options(&format, &mut options);
            Some(made.map_err(|error| error.at(options.location("format")))?)
        }
        None => None,
    };
    let mut columns = declare(catalog, name, &ddl.columns)?;
    let physical: Vec<FieldRef> = columns
        .iter()
        .filter(|column| matches!(column.from, ColumnSource::Record(_)))
        .map(|c| Arc::clone(&c.field))
        .collect();
    let definition = TableRequest { connector: &connector, name, columns: &physical, format: format.as_ref() };
    let table = request.connectors.table(definition, &mut options)?;
    if ddl.columns.is_empty() {
        let defaults = table.default_columns().into_iter().enumerate();
        columns = defaults.map(|(index, field)| Column { field, from: ColumnSource::Record(index) }).collect();
    }
    if columns.is_empty() {
        return Err(Error::invalid(format!("table `{name}`: connector `{connector}` needs its columns declared"))
            .hint("write CREATE TABLE name (column TYPE, …) WITH (…)"));
    }
    let mut format = format.or_else(|| table.default_format());
    if format.as_ref().is_some_and(Format::is_row_per_message) && !table.has_metadata() {
        return Err(Error::invalid(format!("table `{name}`: `csv.rows_per_message` is for connector `kafka`"))
            .hint("leave it out")
            .at(options.location("csv.rows_per_message")));
    }
    if table.reads_files() {
        format = format.map(Format::in_files);
    }
    if table.is_source() && table.reads_bytes() && format.is_none() {
        return Err(Error::invalid(format!("table `{name}`: option `format` is missing"))
            .hint("add format = 'csv', 'json' or 'raw_string'"));
    }
    if let Some(file) = table.lookup_file() {
        let def = TableDef { columns, data, format, ..TableDef::bare(name, table) };
        return Ok(vec![lookup::define(ddl, def, file, options)?]);
    }
    let max_future = max_future(table.as_ref(), &mut options)?;
    let key_limit = max_keys::take(name, table.as_ref(), &mut options)?;
    let emit_early = early::take(table.as_ref(), &mut options)?;
    let mut def = TableDef {
        columns,
        data,
        format,
        idle_timeout: options.parse_duration("idle_timeout")?,
        allowed_lateness: options.parse_duration("allowed_lateness")?.unwrap_or(Duration::ZERO),
        max_future,
        max_drift: options.parse_duration("max_drift")?,
        late_table: options.take("late_table").map(Into::into),
        key_limit,
        emit_early,
        ..TableDef::bare(name, table)
    };
    def.bad_record = bad_record_policy(name, &mut options)?;
    check_metadata(&def, ddl)?;
    def.partitioned_by = partitioned_by(&def, &mut options)?;
    let time_option = options.take("event_time_field");
    let at = options.location("event_time_field");
    def.event_time = event_time(catalog, &def, ddl, time_option.as_deref()).map_err(|error| error.at(at))?;
    let mut made = side_topics(&mut def, &mut options)?;
    def.on_error = row_policy::take(&def, &mut options)?;
    options.finish()?;
    made.push(def);
    Ok(made)
}

/// How far in the future rows of a table may be. Messages have a timestamp to measure by; what has none is only measured on request.
fn max_future(table: &dyn Table, options: &mut Options) -> Result<Option<Duration>> {
    const DEFAULT: Duration = Duration::from_secs(3_600);
    let Some(text) = options.take("max_future") else { return Ok(table.has_metadata().then_some(DEFAULT)) };
    if text.trim().eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let parsed = humantime::parse_duration(text.trim());
    parsed.map(Some).map_err(|_| options.bad_value("max_future", &text, "a duration such as '1 hour', or 'off'"))
}

/// The columns that the producer of a topic partitions by.
fn partitioned_by(def: &TableDef, options: &mut Options) -> Result<Vec<String>> {
    let Some(text) = options.take("partitioned_by") else { return Ok(Vec::new()) };
    if !def.table.has_metadata() {
        return Err(Error::invalid(format!("table `{}`: `partitioned_by` is for connector `kafka`", def.name))
            .hint("leave it out"));
    }
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    for name in &names {
        if !def.columns.iter().any(|column| column.field.name() == name) {
            let columns = list(def.columns.iter().map(|column| column.field.name().as_str()));
            return Err(options.bad_value("partitioned_by", &text, &format!("columns, with commas: {columns}")));
        }
    }
    Ok(names)
}

fn bad_record_policy(name: &str, options: &mut Options) -> Result<BadRecordPolicy> {
    let table = options.take("dead_letter_table");
    let word = options.take("bad_record");
    match (word.as_deref(), table) {
        (None | Some("dead_letter"), Some(table)) => Ok(BadRecordPolicy::DeadLetter(table.into())),
        (None | Some("drop"), None) => Ok(BadRecordPolicy::Drop),
        (Some("fail"), None) => Ok(BadRecordPolicy::Fail),
        (Some("dead_letter"), None) => {
            Err(Error::invalid(format!("table `{name}`: bad_record = 'dead_letter' needs to know where to"))
                .hint("add dead_letter_table = 'name of a sink table'")
                .at(options.location("bad_record")))
        }
        (Some("drop" | "fail"), Some(_)) => {
            Err(Error::invalid(format!("table `{name}`: `dead_letter_table` does nothing with this `bad_record`"))
                .hint("say bad_record = 'dead_letter', or leave one of them out")
                .at(options.location("dead_letter_table")))
        }
        (Some(other), _) => Err(options.bad_value("bad_record", other, "'drop', 'fail' or 'dead_letter'")),
    }
}

/// Types and sources of the declared columns.
fn declare(catalog: &Catalog, table: &str, ddl: &[ColumnDdl]) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for column in ddl {
        let name = normalize(&column.name);
        let at = super::script::location(column.name.span.start);
        let types = catalog.sql().build_schema(vec![as_column_def(column)]);
        let types = types.map_err(|error| sql_error(error).at(at))?;
        let field = types.field(0);
        if columns.iter().any(|known| *known.field.name() == name) {
            return Err(Error::invalid(format!("table `{table}`: column `{name}` is declared twice")).at(at));
        }
        if name.starts_with("__") {
            return Err(Error::invalid(format!(
                "table `{table}`: column `{name}`: names beginning with `__` are Davy's own"
            ))
            .at(at));
        }
        let n_physical = columns.iter().filter(|column| matches!(column.from, ColumnSource::Record(_))).count();
        let (from, data_type) = match &column.from {
            ColumnFrom::Record => (ColumnSource::Record(n_physical), storage_type(field.data_type())),
            ColumnFrom::Metadata(key) => (metadata(table, &name, key, at)?, field.data_type().clone()),
            ColumnFrom::Generated(expression) => {
                let known: Vec<FieldRef> = columns.iter().map(|column| Arc::clone(&column.field)).collect();
                let expression = expression_over(catalog, &known, expression)?;
                let cast = datafusion::logical_expr::cast(expression, field.data_type().clone());
                (ColumnSource::Generated(cast), field.data_type().clone())
            }
        };
        let field = Arc::new(Field::new(name, data_type, !column.not_null));
        columns.push(Column { field, from });
    }
    Ok(columns)
}

/// TIMESTAMP of any precision is kept in nanoseconds; there is one event-time unit in the engine.
fn storage_type(declared: &DataType) -> DataType {
    match declared {
        DataType::Timestamp(_, None) => TIMESTAMP,
        other => other.clone(),
    }
}

fn metadata(table: &str, column: &str, key: &str, at: Option<Location>) -> Result<ColumnSource> {
    match key {
        "value" => Ok(ColumnSource::Value),
        "split" | "path" => Ok(ColumnSource::Split),
        _ => match Metadata::NAMES.iter().find(|(name, _)| *name == key) {
            Some((_, metadata)) => Ok(ColumnSource::Metadata(*metadata)),
            None => Err(no_metadata(table, column, key).at(at)),
        },
    }
}

fn no_metadata(table: &str, column: &str, key: &str) -> Error {
    Error::invalid(format!("table `{table}`: column `{column}`: there is no metadata `{key}` here")).hint(
        "valid are 'value' (the record's own bytes) and 'split' (the file it is from); for connector `kafka` also 'topic', \
         'partition', 'offset', 'timestamp', 'key' and 'headers'",
    )
}

/// Refuses metadata of messages where there are none.
fn check_metadata(def: &TableDef, ddl: &CreateTable) -> Result<()> {
    if def.table.has_metadata() {
        return Ok(());
    }
    for (column, declared) in def.columns.iter().zip(&ddl.columns) {
        if let (ColumnSource::Metadata(_), ColumnFrom::Metadata(key)) = (&column.from, &declared.from) {
            let at = super::script::location(declared.name.span.start);
            return Err(no_metadata(&def.name, column.field.name(), key).at(at));
        }
    }
    Ok(())
}

fn expression_over(catalog: &Catalog, fields: &[FieldRef], expression: &ast::Expr) -> Result<Expr> {
    let schema = expression_schema(fields)?;
    catalog.sql().sql_to_expr(expression.clone(), &schema, &mut PlannerContext::new()).map_err(sql_error)
}

/// Event time and watermark, over the raw columns.
fn event_time(
    catalog: &Catalog,
    def: &TableDef,
    ddl: &CreateTable,
    option: Option<&str>,
) -> Result<Option<(Expr, Expr)>> {
    let name = &def.name;
    let (column, at, watermark) = match (&ddl.watermark, option) {
        (Some((column, watermark)), None) => {
            (normalize(column), super::script::location(column.span.start), watermark.as_ref())
        }
        (None, Some(column)) => (column.to_owned(), None, None),
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(Error::invalid(format!("table `{name}` has WATERMARK FOR and `event_time_field`"))
                .hint("keep WATERMARK FOR"));
        }
    };
    let Some(declared) = def.columns.iter().find(|declared| *declared.field.name() == column) else {
        let columns = list(def.columns.iter().map(|column| column.field.name().as_str()));
        return Err(Error::invalid(format!("table `{name}`: the event time `{column}` is no column"))
            .hint(format!("columns are {columns}"))
            .at(at));
    };
    if !matches!(declared.field.data_type(), DataType::Timestamp(_, _)) {
        return Err(Error::invalid(format!(
            "table `{name}`: the event time `{column}` is {}, not TIMESTAMP",
            declared.field.data_type()
        ))
        .hint("declare it TIMESTAMP, or add a column GENERATED ALWAYS AS (to_timestamp(…))")
        .at(at));
    }
    let fields: Vec<FieldRef> = def.columns.iter().map(|column| Arc::clone(&column.field)).collect();
    let time = col(datafusion::common::Column::from_name(&column));
    let watermark = match watermark {
        Some(expression) => expression_over(catalog, &fields, expression).map_err(|error| error.at(at))?,
        None => time.clone(),
    };
    let schema = expression_schema(&fields)?;
    let watermark_type = watermark.get_type(&schema).map_err(sql_error)?;
    if !matches!(watermark_type, DataType::Timestamp(_, _)) {
        return Err(Error::invalid(format!("table `{name}`: the watermark is {watermark_type}, not TIMESTAMP"))
            .hint(format!("write WATERMARK FOR {column} AS {column} - INTERVAL '5 seconds'"))
            .at(at));
    }
    let inline = |expression: Expr| inline_generated(def, expression);
    Ok(Some((inline(time)?, inline(watermark)?)))
}

/// Checks that a table named by an option (`late_table`, `dead_letter_table`) can take `offered` columns.
pub(super) fn check_side_table(
    catalog: &Catalog,
    source: &TableDef,
    option: &str,
    name: &str,
    offered: &[FieldRef],
) -> Result<()> {
    let option = format!("table `{}`: option `{option}`", source.name);
    let Some(target) = catalog.table(name) else {
        return Err(Error::invalid(format!("{option} names `{name}`, which is not declared"))
            .hint(format!("add CREATE TABLE {name} (…) with a sink connector")));
    };
    if !target.table.is_sink() {
        return Err(Error::invalid(format!("{option} names `{name}`, which cannot be written to")));
    }
    for column in &target.columns {
        let found = offered.iter().find(|field| field.name() == column.field.name());
        let Some(found) = found else {
            let names = list(offered.iter().map(|field| field.name().as_str()));
            return Err(Error::invalid(format!(
                "{option}: nothing fills column `{}` of `{name}`",
                column.field.name()
            ))
            .hint(format!("its columns may be {names}")));
        };
        let is_text_of_bytes = *found.data_type() == DataType::Binary && *column.field.data_type() == DataType::Utf8;
        if !is_text_of_bytes && !arrow::compute::can_cast_types(found.data_type(), column.field.data_type()) {
            return Err(Error::invalid(format!(
                "{option}: column `{}` of `{name}` is {}, but it gets {}",
                column.field.name(),
                column.field.data_type(),
                found.data_type()
            )));
        }
    }
    Ok(())
}
