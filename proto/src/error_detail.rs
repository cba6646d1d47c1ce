//! Details of a gRPC status, in Google's standard messages: `ErrorInfo`, `LocalizedMessage` and `BadRequest`.

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The `domain` of `ErrorInfo`, which says whose reasons these are.
const DOMAIN: &str = "davy";

/// What is wrong, where in the SQL, and how to fix it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorDetail {
    /// Stable, for programs: such as `INVALID`.
    pub reason: String,
    /// What is wrong, without the location.
    pub message: String,
    pub location: Option<Location>,
    /// How to fix it; may be empty.
    pub hint: String,
}

/// A location in the SQL; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Location {
    pub line: u64,
    pub column: u64,
}

impl ErrorDetail {
    /// A status with this detail. Its message has all of it, for clients that do not read details.
    pub fn to_status(&self, code: Code) -> Status {
        let Self { reason, message, location, hint } = self;
        let mut metadata = HashMap::new();
        let mut sentence = message.clone();
        let mut details = ErrorDetails::new();
        if let Some(Location { line, column }) = location {
            metadata.insert("line".to_owned(), line.to_string());
            metadata.insert("column".to_owned(), column.to_string());
            details.add_bad_request_violation("sql", format!("line {line}, column {column}: {message}"));
            sentence.push_str(&format!(" (line {line}, column {column})"));
        }
        if !hint.is_empty() {
            metadata.insert("hint".to_owned(), hint.clone());
            sentence.push_str(&format!("; {hint}"));
        }
        details.set_error_info(reason, DOMAIN, metadata).set_localized_message("en", message);
        Status::with_error_details(code, sentence, details)
    }

    /// The detail of a status; `None` if a coordinator did not make it.
    pub fn of(status: &Status) -> Option<Self> {
        let info = status.get_details_error_info().filter(|info| info.domain == DOMAIN)?;
        let message = status.get_details_localized_message()?.message;
        let number = |name: &str| info.metadata.get(name)?.parse().ok();
        let location = number("line").zip(number("column")).map(|(line, column)| Location { line, column });
        let hint = info.metadata.get("hint").cloned().unwrap_or_default();
        Some(Self { reason: info.reason, message, location, hint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_read_as_it_was_written() {
        for (location, hint) in [(Some(Location { line: 3, column: 14 }), "x"), (None, ""), (None, "x")] {
            let (reason, message) = ("INVALID".to_owned(), "no column `dts`".to_owned());
            let detail = ErrorDetail { reason, message, location, hint: hint.to_owned() };
            assert_eq!(ErrorDetail::of(&detail.to_status(Code::InvalidArgument)), Some(detail));
        }
    }

    #[test]
    fn a_status_has_all_of_it_in_standard_messages_and_in_its_text() {
        let location = Some(Location { line: 3, column: 14 });
        let (reason, message) = ("INVALID".to_owned(), "no column `dts`".to_owned());
        let status = ErrorDetail { reason, message, location, hint: "use `ts`".to_owned() }.to_status(Code::NotFound);
        assert_eq!(status.message(), "no column `dts` (line 3, column 14); use `ts`");
        let violations = status.get_details_bad_request().expect("a location").field_violations;
        assert_eq!((&*violations[0].field, &*violations[0].description), ("sql", "line 3, column 14: no column `dts`"));
    }

    #[test]
    fn details_of_others_and_damaged_ones_are_none() {
        let details = ErrorDetails::with_error_info("INVALID", "example.com", HashMap::new());
        assert_eq!(ErrorDetail::of(&Status::with_error_details(Code::Internal, "no", details)), None);
        let whole = ErrorDetail { message: "no".to_owned(), ..ErrorDetail::default() }.to_status(Code::Internal);
        for end in 0..whole.details().len() {
            let damaged = Status::with_details(Code::Internal, "no", whole.details()[..end].to_vec().into());
            assert_eq!(ErrorDetail::of(&damaged), None, "cut at {end}");
        }
    }
}
