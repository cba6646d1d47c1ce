//! The engine's errors as far as formats make them, without DataFusion.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    pub line: u64,
    pub column: u64,
}

#[derive(Debug)]
pub struct Error(String);

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn invalid(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub fn internal(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0 = format!("{}; {}", self.0, hint.into());
        self
    }

    #[must_use]
    pub fn at(self, _location: Option<Location>) -> Self {
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self(error.to_string())
    }
}
