//! Tests of the forest crate as its users see it.

mod broken;
mod import;
mod packages;
mod scoring;
mod shared;
mod tiny;
