//! Refusals as gRPC statuses: a code, a sentence, and an `ErrorDetail` among the details.

use davy_proto::v1::ErrorDetail;
use prost::Message;
use tonic::{Code, Status};

use crate::service::error::{Kind, Refused};

/// Statuses are sent as headers, whose size clients limit.
const TEXT_LENGTH_MAX: usize = 1_000;

/// `google.rpc.Status`, as it is sent in `grpc-status-details-bin`.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The code of a kind.
pub(super) fn code(kind: Kind) -> Code {
    match kind {
        Kind::Invalid => Code::InvalidArgument,
        Kind::Unauthenticated => Code::Unauthenticated,
        Kind::Denied => Code::PermissionDenied,
        Kind::NotFound => Code::NotFound,
        Kind::Exists => Code::AlreadyExists,
        Kind::Precondition => Code::FailedPrecondition,
        Kind::Exhausted => Code::ResourceExhausted,
        Kind::Unavailable => Code::Unavailable,
        Kind::TooSlow => Code::DeadlineExceeded,
        Kind::Internal => Code::Internal,
    }
}

/// A refusal as a status. Its sentence has all that the detail has, for clients that do not look at details.
pub(super) fn status(refused: &Refused) -> Status {
    let (line, column) = refused.place.unwrap_or_default();
    let (message, hint) = (shorten(&refused.message), shorten(&refused.hint));
    let detail = ErrorDetail { message: message.clone(), line, column, hint: hint.clone() };
    let mut sentence = message;
    if refused.place.is_some() {
        sentence.push_str(&format!(" (line {line}, column {column})"));
    }
    if !hint.is_empty() {
        sentence.push_str(&format!("; {hint}"));
    }
    let code = code(refused.kind);
    let any = Any { type_url: "type.googleapis.com/davy.v1.ErrorDetail".to_owned(), value: detail.encode_to_vec() };
    let details = Details { code: code.into(), message: sentence.clone(), details: vec![any] };
    Status::with_details(code, sentence, details.encode_to_vec().into())
}

/// What is told of a refusal by [`status`], for clients and tests.
///
/// `None` if the status holds no `ErrorDetail`.
pub fn detail(status: &Status) -> Option<ErrorDetail> {
    let details = Details::decode(status.details()).ok()?;
    let any = details.details.into_iter().find(|any| any.type_url.ends_with("/davy.v1.ErrorDetail"))?;
    ErrorDetail::decode(any.value.as_slice()).ok()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(TEXT_LENGTH_MAX) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

/// A code as logs and metrics show it.
pub(super) fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_tells_what_where_and_how_to_fix_it() {
        let refused = Refused {
            kind: Kind::Invalid,
            message: "no column `dts`".to_owned(),
            place: Some((3, 14)),
            hint: "columns are `src`, `dst`".to_owned(),
        };
        let status = status(&refused);
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "no column `dts` (line 3, column 14); columns are `src`, `dst`");
        let expected = ErrorDetail { message: refused.message, line: 3, column: 14, hint: refused.hint };
        assert_eq!(detail(&status), Some(expected));
    }

    #[test]
    fn a_long_message_fits_into_headers() {
        let status = status(&Refused::new(Kind::Invalid, "ß".repeat(100_000)));
        assert!(status.message().chars().count() < 1_010 && status.details().len() < 8_000);
    }
}
