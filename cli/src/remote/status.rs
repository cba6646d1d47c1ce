//! A status of gRPC as an error of ours: what, where in the script, and how to fix it.
//!
//! The details of a status are a `google.rpc.Status`, which holds a `davy.v1.ErrorDetail` in an `Any`. Three short messages are read
//! by hand here: that is less than another dependency.

use std::error::Error as _;
use std::path::Path;

use davy_engine::Error;
use davy_proto::v1::ErrorDetail;
use tonic::{Code, Status};

use super::text::shown;

/// `script` is the file that lines and columns in the status refer to.
pub(super) fn error(status: &Status, script: Option<&Path>) -> Error {
    let detail = detail(status.details()).filter(|detail| !detail.message.is_empty());
    let (message, hint) = match detail {
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
    let ErrorDetail { message, line, column, .. } = detail;
    match script {
        Some(script) if *line > 0 => format!("{}:{line}:{column}: {message}", shown(script)),
        None if *line > 0 => format!("line {line}, column {column}: {message}"),
        _ => message.clone(),
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

/// Field 3 of `google.rpc.Status` is its details; field 2 of each, an `Any`, is the message.
fn detail(bytes: &[u8]) -> Option<ErrorDetail> {
    let anys = fields(bytes)?;
    let any = anys.iter().find_map(|field| field.bytes(3))?;
    let any = fields(any)?;
    let is_ours = any.iter().any(|field| field.bytes(1).is_some_and(|url| url.ends_with(b"/davy.v1.ErrorDetail")));
    let message = any.iter().find_map(|field| field.bytes(2)).filter(|_| is_ours)?;
    let fields = fields(message)?;
    let text = |number| {
        let bytes = fields.iter().find_map(|field| field.bytes(number)).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    };
    let count = |number| fields.iter().find_map(|field| field.count(number)).unwrap_or_default();
    Some(ErrorDetail { message: text(1), line: count(2), column: count(3), hint: text(4) })
}

/// A field of a message in protobuf's encoding, of the two kinds that occur here.
enum Field<'a> {
    Count(u64, u64),
    Bytes(u64, &'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self, number: u64) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(own, bytes) if *own == number => Some(bytes),
            Self::Bytes(..) | Self::Count(..) => None,
        }
    }

    fn count(&self, number: u64) -> Option<u64> {
        match self {
            Self::Count(own, count) if *own == number => Some(*count),
            Self::Bytes(..) | Self::Count(..) => None,
        }
    }
}

/// All fields in order; `None` when the bytes are none of ours.
fn fields(mut bytes: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        match tag & 7 {
            0 => fields.push(Field::Count(tag >> 3, varint(&mut bytes)?)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (value, rest) = bytes.split_at_checked(length)?;
                fields.push(Field::Bytes(tag >> 3, value));
                bytes = rest;
            }
            _ => return None,
        }
    }
    Some(fields)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `google.rpc.Status { code: 3, details: [Any { type_url, value: ErrorDetail { message: "no", line: 300, column: 7, hint: "x" } }] }`
    fn bytes(type_url: &str) -> Vec<u8> {
        let detail = b"\x0a\x02no\x10\xac\x02\x18\x07\x22\x01x";
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("a short message");
        let any = [&[10, length(type_url.as_bytes())], type_url.as_bytes(), &[18, length(detail)], detail].concat();
        [&[8, 3, 26, length(&any)], any.as_slice()].concat()
    }

    const URL: &str = "type.googleapis.com/davy.v1.ErrorDetail";

    #[test]
    fn a_detail_is_read_from_a_status() {
        let expected = ErrorDetail { message: "no".to_owned(), line: 300, column: 7, hint: "x".to_owned() };
        assert_eq!(detail(&bytes(URL)), Some(expected));
        assert_eq!(detail(&bytes("type.googleapis.com/google.rpc.Help")), None);
    }

    #[test]
    fn damaged_details_are_none() {
        let whole = bytes(URL);
        for end in 0..whole.len() {
            assert_eq!(detail(&whole[..end]), None, "cut at {end}");
        }
        for garbage in [&[0xff; 20][..], &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], &[0x1b]] {
            assert_eq!(detail(garbage), None);
        }
    }

    #[test]
    fn an_error_says_what_where_and_how() {
        let with = |code| Status::with_details(code, "short", bytes(URL).into());
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
