//! What the integration tests of several crates share.
//!
//! Only a dev-dependency: a test of the house rules refuses any other use. It depends on no crate of the workspace, so that the
//! coordinator's tests build without DataFusion, and so that no mistake of the product hides in what judges it.

pub mod broker;
pub mod proxy;
pub mod token;
pub mod wait;
