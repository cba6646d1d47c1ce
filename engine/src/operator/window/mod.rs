//! Windows: which one a row is in, and the state that its rows make.

pub mod pane;
pub mod session;
pub mod spec;
