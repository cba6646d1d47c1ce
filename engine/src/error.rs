//! The engine's errors: one kind per thing the receiver would do.
//!
//! A bad row is not an error here: decoders count it by reason and hand it to the row policy (see [`crate::format`]).

use std::fmt;

use datafusion::error::DataFusionError;

/// What went wrong, by what the receiver should do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The script, a setting or a file is wrong: fix it and try again.
    #[error("{0}")]
    Invalid(Box<Diagnostic>),
    /// What a running task has read or computed cannot be used: fix the input, or change what becomes of such rows.
    #[error("{0}")]
    Data(Box<Diagnostic>),
    /// Something outside is away (a file system, a broker, a helper program): retry with back-off.
    #[error("{0}")]
    Unavailable(String),
    /// The pipeline's memory budget is used up; the message names the operators that hold it.
    #[error("{0}")]
    OutOfMemory(String),
    /// A newer owner has this task: stop without an error.
    #[error("{0}")]
    Fenced(String),
    /// The reader of the output has gone: end the run quietly, without another commit.
    #[error("{0}")]
    OutputClosed(String),
    /// A bug of ours.
    #[error("internal error: {0}; please report it with the script that shows it")]
    Internal(String),
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A line and column in a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

/// The part of a statement that an error is about; planning finds its location in the syntax tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A table in FROM, by name.
    Table(String),
    /// A call of this function.
    Call(String),
    /// An argument that is given by this name.
    Argument(String),
    /// A column of the outermost SELECT, from 0.
    Column(usize),
    /// `*` in a SELECT.
    Wildcard,
    Where,
    /// A GROUP BY without a window.
    GroupBy,
    GroupingSet,
    /// The second window of a GROUP BY.
    SecondWindow,
    /// A window outside GROUP BY.
    StrayWindow,
    /// DISTINCT, or UNION without ALL.
    Distinct,
    /// A join, EXCEPT or INTERSECT.
    Join,
    SubQuery,
    Over,
    OrderBy,
    Limit,
    /// TABLESAMPLE.
    Sample,
    /// FOR UPDATE and the like.
    Lock,
}

/// A message for a person: what, where, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong; lower case, values in backticks.
    pub message: String,
    /// Where in the script, when it is about a script.
    pub location: Option<Location>,
    /// What in the statement it is about, while it has no location.
    pub subject: Option<Subject>,
    /// How to fix it.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Location { line, column }) = self.location {
            write!(f, "line {line}, column {column}: ")?;
        }
        write!(f, "{}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl Error {
    /// An error that a person mends in the script, a setting or a file.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(Box::new(Diagnostic { message: message.into(), location: None, subject: None, hint: None }))
    }

    /// A bug of ours.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::Internal(message.to_string())
    }

    /// Adds how to fix it; kept only where there is none yet.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.map(|diagnostic| {
            diagnostic.hint.get_or_insert_with(|| hint.into());
        })
    }

    /// Adds where in the script; kept only where there is none yet.
    #[must_use]
    pub fn at(self, location: Option<Location>) -> Self {
        self.map(|diagnostic| diagnostic.location = diagnostic.location.or(location))
    }

    /// Adds which part of the statement it is about.
    #[must_use]
    pub fn about(self, subject: impl Into<Option<Subject>>) -> Self {
        self.map(|diagnostic| diagnostic.subject = subject.into())
    }

    /// The same error from a task that runs: what it refuses is its input, for the script itself was accepted.
    #[must_use]
    pub fn while_running(self) -> Self {
        match self {
            Self::Invalid(diagnostic) => Self::Data(diagnostic),
            other => other,
        }
    }

    /// Says what it is about, before the message.
    #[must_use]
    pub fn context(self, about: &str) -> Self {
        match self {
            Self::Invalid(mut diagnostic) => {
                diagnostic.message = format!("{about}: {}", diagnostic.message);
                Self::Invalid(diagnostic)
            }
            Self::Data(mut diagnostic) => {
                diagnostic.message = format!("{about}: {}", diagnostic.message);
                Self::Data(diagnostic)
            }
            Self::Unavailable(message) => Self::Unavailable(format!("{about}: {message}")),
            Self::OutOfMemory(message) => Self::OutOfMemory(format!("{about}: {message}")),
            Self::Fenced(message) => Self::Fenced(format!("{about}: {message}")),
            Self::OutputClosed(message) => Self::OutputClosed(format!("{about}: {message}")),
            Self::Internal(message) => Self::Internal(format!("{about}: {message}")),
        }
    }

    fn map(mut self, change: impl FnOnce(&mut Diagnostic)) -> Self {
        if let Self::Invalid(diagnostic) | Self::Data(diagnostic) = &mut self {
            change(diagnostic);
        }
        self
    }
}

impl From<davy_forest::Error> for Error {
    fn from(error: davy_forest::Error) -> Self {
        match error {
            davy_forest::Error::Invalid { message, hint } => Self::invalid(message).hint(hint),
            davy_forest::Error::Unavailable { message, hint } => Self::Unavailable(format!("{message}; {hint}")),
            davy_forest::Error::Internal(message) => Self::Internal(message),
        }
    }
}

/// Errors of DataFusion at run time; planning has its own, richer conversion in [`crate::sql`].
impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        let error = match into_ours(error) {
            Ok(ours) => return ours,
            Err(other) => other,
        };
        match error.find_root() {
            DataFusionError::ResourcesExhausted(message) => Self::OutOfMemory(out_of_memory(message)),
            DataFusionError::Internal(message) => Self::Internal(message.clone()),
            root => Self::invalid(root.strip_backtrace()).while_running(),
        }
    }
}

/// An error of ours that has come through DataFusion.
fn into_ours(error: DataFusionError) -> std::result::Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => Ok(*ours),
            Err(other) => Err(DataFusionError::External(other)),
        },
        DataFusionError::Context(_, inner) => into_ours(*inner),
        other => Err(other),
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::from(DataFusionError::from(error))
    }
}

/// The pool's message in one line: which operator needs memory, which holds most, and how to raise the limit.
fn out_of_memory(message: &str) -> String {
    let usage = message.split("\nError:").next().unwrap_or(message);
    let usage: Vec<&str> = usage.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let usage = usage.join(" ").trim_end_matches(['.', ',']).to_owned();
    format!("the pipeline's memory is used up: {usage}; raise it with SET memory = '4GiB', or use shorter windows")
}
