//! Errors of planning, for the author of a script: plain words, line and column, and how to fix it.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use super::{catalog, functions, script};
use crate::error::{Error, Location, Subject};

/// DataFusion's planning errors as ours: its diagnostic's words and location where it has one.
pub(crate) fn sql_error(error: DataFusionError) -> Error {
    // What an optimiser's rule was about to do says nothing to the author of a script.
    if let DataFusionError::Context(_, inner) = &error
        && matches!(**inner, DataFusionError::External(_))
        && let DataFusionError::Context(_, inner) = error
    {
        return sql_error(*inner);
    }
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
    if let Some(ours) =
        between(&message, "user-defined coercion failed with: External error: ", ". No function matches")
    {
        let error = Error::invalid(ours).at(location);
        return match between(&message, "Function '", "'") {
            Some(function) => error.about(Subject::Call(function.to_owned())),
            None => error,
        };
    }
    if message.contains("range queries on datatype: Struct") {
        return Error::invalid("OVER (… ORDER BY window) is not supported: a window is no number")
            .hint("a window function sees one window only: PARTITION BY window, and order by something else")
            .at(location)
            .about(Subject::Over);
    }
    if message.contains("null_aware anti join") {
        return Error::invalid("NOT IN with a sub-query over windows is not supported")
            .hint("use NOT EXISTS")
            .at(location)
            .about(Subject::SubQuery);
    }
    for kind in functions::WindowKind::ALL {
        if message.contains(&format!("'{}'", kind.name())) {
            return Error::invalid(format!("{}: expected literal intervals", kind.usage()))
                .hint("write an interval as INTERVAL '5 minutes'")
                .at(location)
                .about(Subject::Call(kind.name().to_owned()));
        }
    }
    let subject = if message.contains("While expanding wildcard") {
        Some(Subject::Wildcard)
    } else if message.contains("create filter") || message.contains("in the WHERE clause") {
        Some(Subject::Where)
    } else {
        between(&message, "Unknown parameter name '", "'").map(|name| Subject::Argument(name.to_owned()))
    };
    Error::invalid(tidy(&message)).at(location).about(subject)
}

/// The text between two others.
fn between<'a>(message: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(before)?;
    Some(rest.split_once(after).map_or(rest, |(inner, _)| inner))
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
    // Some messages end in a print of the syntax tree, which does not help.
    let trees = ["Identifier(Ident", "Substring {", "Function(Function"];
    let end = trees.iter().filter_map(|tree| message.find(tree)).min().unwrap_or(message.len());
    script::uncapitalize(message[..end].trim_end())
}
