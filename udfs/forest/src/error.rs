//! What can be wrong with a model, by what the receiver does about it.

/// Why a model cannot be loaded, or a batch not be scored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The card, the model or the call is wrong: what, and how to fix it.
    #[error("{message}; {hint}")]
    Invalid {
        /// What is wrong and where; lower case, values in backticks.
        message: String,
        hint: String,
    },
    /// Something that the model needs is not on this machine (a file, the ONNX Runtime library).
    #[error("{message}; {hint}")]
    Unavailable { message: String, hint: String },
    /// A bug of ours or of the ONNX Runtime.
    #[error("internal error of the forest: {0}")]
    Internal(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// What is wrong, and how to fix it.
    pub fn invalid(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Invalid { message: message.into(), hint: hint.into() }
    }
}

/// A text from a file as a message may show it: short, and without control characters.
pub(crate) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 64;
    let short: String = text.chars().take(CHARS_MAX).collect();
    let dots = if short.len() < text.len() { "…" } else { "" };
    format!("{}{dots}", short.escape_debug())
}
