//! Tests that need a broker; `make check` leaves them out.

mod fresh;
mod logins;
mod membership;
pub(crate) mod producer;
mod reader;
