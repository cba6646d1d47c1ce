//! Whether this coordinator leads.

use davy_proto::domain::Term;

use crate::error::{Kind, Refused};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoordinatorRole {
    /// It waits to become the leader.
    Standby {
        /// Why it does not lead, or which coordinator does, if that is known.
        reason: Option<String>,
    },
    Leader {
        term: Term,
    },
    Stopping,
}

impl CoordinatorRole {
    /// The leader's term, or a refusal for a caller that needs the leader.
    pub fn leads(&self) -> Result<Term, Refused> {
        let unavailable = |message: String| Refused::new(Kind::Unavailable, message);
        match self {
            Self::Leader { term } => Ok(*term),
            Self::Standby { reason } => {
                let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
                Err(unavailable(format!("this coordinator does not lead{reason}"))
                    .hint("call the leader, or try again"))
            }
            Self::Stopping => {
                Err(unavailable("this coordinator is ending".to_owned()).hint("call another coordinator, or try again"))
            }
        }
    }
}
