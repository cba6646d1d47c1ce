//! Refusals as gRPC statuses: a code, a sentence, and details.

use davy_proto::ErrorDetail;
use tonic::{Code, Status};

use crate::error::{Kind, Refused};

/// Statuses are sent as headers, whose size clients limit.
const TEXT_LENGTH_MAX: usize = 1_000;

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

/// The stable reason of a kind, for programs.
fn reason(kind: Kind) -> &'static str {
    match kind {
        Kind::Invalid => "INVALID",
        Kind::Unauthenticated => "UNAUTHENTICATED",
        Kind::Denied => "DENIED",
        Kind::NotFound => "NOT_FOUND",
        Kind::Exists => "EXISTS",
        Kind::Precondition => "PRECONDITION",
        Kind::Exhausted => "EXHAUSTED",
        Kind::Unavailable => "UNAVAILABLE",
        Kind::TooSlow => "TOO_SLOW",
        Kind::Internal => "INTERNAL",
    }
}

/// A refusal as a status.
pub(super) fn status(refused: &Refused) -> Status {
    let detail = ErrorDetail {
        reason: reason(refused.kind).to_owned(),
        message: shorten(&refused.message),
        location: refused.location,
        hint: shorten(&refused.hint),
    };
    detail.to_status(code(refused.kind))
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
    fn a_long_message_fits_into_headers() {
        let status = status(&Refused::new(Kind::Invalid, "ß".repeat(100_000)));
        assert!(status.message().chars().count() < 1_010 && status.details().len() < 8_000);
    }
}
