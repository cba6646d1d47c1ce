//! Tests of the forest crate as its users see it.

mod import;
mod packages;
