//! A status of gRPC as an error of ours: what, where in the script, and how to fix it.

use std::error::Error as _;
use std::path::Path;

use davy_engine::Error;
use davy_proto::{ErrorDetail, Location};
use tonic::{Code, Status};

use super::text::shown;

/// `script` is the file that lines and columns in the status refer to.
pub(super) fn error(status: &Status, script: Option<&Path>) -> Error {
    let (message, hint) = match ErrorDetail::of(status) {
        Some(detail) => (located(&detail, script), detail.hint),
        None => (status.message().to_owned(), String::new()),
    };
    match status.code() {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::PermissionDenied
        | Code::OutOfRange => invalid(message, hint),
        Code::Unauthenticated if hint.is_empty() => {
            invalid(message, "name the file that holds your token with --token-file".to_owned())
        }
        Code::Unauthenticated => invalid(message, hint),
        Code::Internal | Code::DataLoss => Error::Internal(with_hint(&message, &hint)),
        Code::Unimplemented => Error::Unavailable(
            "the coordinator does not know this call; it is another version than this davy".to_owned(),
        ),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Unavailable => Error::Unavailable(with_hint(&message, &hint)),
    }
}

/// The same for a call that is about no script.
#[expect(clippy::needless_pass_by_value, reason = "`map_err` gives it away")]
pub(super) fn error_of(status: Status) -> Error {
    error(&status, None)
}

fn invalid(message: String, hint: String) -> Error {
    let error = Error::invalid(message);
    if hint.is_empty() { error } else { error.hint(hint) }
}

fn with_hint(message: &str, hint: &str) -> String {
    if hint.is_empty() { message.to_owned() } else { format!("{message}; {hint}") }
}

fn located(detail: &ErrorDetail, script: Option<&Path>) -> String {
    let message = &detail.message;
    match (detail.location, script) {
        (Some(Location { line, column }), Some(script)) => format!("{}:{line}:{column}: {message}", shown(script)),
        (Some(Location { line, column }), None) => format!("line {line}, column {column}: {message}"),
        (None, _) => message.clone(),
    }
}

/// Why the call to the coordinator at `url` failed.
pub(super) fn explain(url: &str, status: &Status) -> String {
    let Some(mut cause) = status.source() else { return format!("coordinator `{url}`: {}", status.message()) };
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("no coordinator answers at `{url}`: {cause}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_where_and_how() {
        let location = Some(Location { line: 300, column: 7 });
        let detail = ErrorDetail { reason: "X".to_owned(), message: "no".to_owned(), location, hint: "x".to_owned() };
        let with = |code| detail.to_status(code);
        let cases = [
            (with(Code::InvalidArgument), Some("a.sql"), "a.sql:300:7: no; x"),
            (with(Code::InvalidArgument), Some("-"), "standard input:300:7: no; x"),
            (with(Code::NotFound), None, "line 300, column 7: no; x"),
            (with(Code::Unavailable), Some("a.sql"), "a.sql:300:7: no; x"),
            (Status::not_found("no pipeline"), None, "no pipeline"),
            (Status::unauthenticated("who?"), None, "who?; name the file that holds your token with --token-file"),
        ];
        for (status, script, expected) in cases {
            assert_eq!(error(&status, script.map(Path::new)).to_string(), expected);
        }
    }
}
