//! Sessions whose splits come back from idleness: what a replay reads again was partly dropped, and partly joined nothing, when it was
//! first read, because sessions had closed meanwhile. However often a task starts again, the sessions are those of a model.

mod exchange;
pub mod log;
mod model;
pub mod one_hop;
pub mod rig;
pub mod store;
