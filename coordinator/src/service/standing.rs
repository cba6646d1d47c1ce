//! Whether this coordinator leads.

use crate::service::error::{Kind, Refused};
use davy_proto::domain::Term;

/// What this coordinator is just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for its turn.
    Standby {
        /// Why, or who leads, as far as it is known.
        why: Option<String>,
    },
    Leading {
        term: Term,
    },
    /// It was asked to end.
    Stopping,
}

impl Standing {
    /// The number of a leader; of anybody else the refusal.
    pub fn leads(&self) -> Result<Term, Refused> {
        let unavailable = |message: String| Refused::new(Kind::Unavailable, message);
        match self {
            Self::Leading { term } => Ok(*term),
            Self::Standby { why } => {
                let why = why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                Err(unavailable(format!("this coordinator does not lead{why}"))
                    .hint("ask the one that leads, or try again"))
            }
            Self::Stopping => {
                Err(unavailable("this coordinator is ending".to_owned()).hint("ask another one, or try again"))
            }
        }
    }
}
