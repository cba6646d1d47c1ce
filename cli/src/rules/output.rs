//! The `output` of a rule as an SQL expression: `%field` becomes the value, and `<NA>` where a flow has none, as in Falco.

use super::field::{Field, Side, of_flow};
use super::sql::literal;

/// An expression of type TEXT, and the fields that a flow does not know.
pub(super) fn expression(output: &str) -> (String, Vec<String>) {
    let mut parts = Vec::new();
    let mut unknown = Vec::new();
    let mut pieces = output.split('%');
    parts.extend(pieces.next().filter(|text| !text.is_empty()).map(literal));
    for piece in pieces {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let mut end = piece.find(|c| !is_part(c)).unwrap_or(piece.len());
        if let Some(close) = piece[end..].strip_prefix('[').and_then(|argument| argument.find(']')) {
            end += close + 2;
        }
        // A full stop after a field ends the sentence.
        let field = piece[..end].trim_end_matches('.');
        let rest = &piece[field.len()..];
        match value(field) {
            Some(value) => parts.push(format!("coalesce({value}, '<NA>')")),
            None if field.is_empty() => parts.push(literal("%")),
            None => {
                unknown.push(field.to_owned());
                parts.push(literal("<NA>"));
            }
        }
        parts.extend(Some(rest).filter(|text| !text.is_empty()).map(literal));
    }
    let expression = match parts.as_slice() {
        [] => literal(""),
        [only] => only.clone(),
        parts => format!("concat({})", parts.join(", ")),
    };
    (expression, unknown)
}

/// The value of a field of one end of the flow, as TEXT.
fn value(field: &str) -> Option<String> {
    match field {
        "evt.time" | "evt.time.iso8601" => return Some("CAST(te AS TEXT)".to_owned()),
        "fd.name" => {
            let port = |end: &str| format!("coalesce(CAST({end}_port AS TEXT), '')");
            let (client, server) = (port("client"), port("server"));
            return Some(format!("concat(client, ':', {client}, '->', server, ':', {server})"));
        }
        _ => {}
    }
    let end = |side: Side| match side {
        Side::Server => Some("server"),
        Side::Client => Some("client"),
        Side::Any => None,
    };
    match of_flow(field)? {
        Field::Port(side) => Some(format!("CAST({}_port AS TEXT)", end(side)?)),
        Field::Address(side) if field.ends_with("ip") => Some(end(side)?.to_owned()),
        Field::Protocol => Some("protocol".to_owned()),
        Field::Address(_) | Field::Name(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_in() {
        let cases = [
            ("", "''", ""),
            ("it's", "'it''s'", ""),
            ("%fd.rport", "coalesce(CAST(server_port AS TEXT), '<NA>')", ""),
            ("ip=%fd.lip.", "concat('ip=', coalesce(client, '<NA>'), '.')", ""),
            (
                "(%proc.aname[2] %fd.l4proto)",
                "concat('(', '<NA>', ' ', coalesce(protocol, '<NA>'), ')')",
                "proc.aname[2]",
            ),
            ("100%", "concat('100', '%')", ""),
        ];
        for (output, sql, unknown) in cases {
            let found = expression(output);
            assert_eq!((found.0.as_str(), found.1.join(" ").as_str()), (sql, unknown), "{output}");
        }
    }
}
