//! Forests of decision trees: a model package on disk to batches of scores.
//!
//! ```text
//! card.toml + model.onnx ─package─▶ checked ─onnx─▶ Forest ─native─▶ Kernel ─┐
//!                                       └────────── onnxruntime ─▶ session ──┴─▶ Scorer ─▶ scores, classes, reasons
//! ```
//! Knows nothing of Arrow: columns are slices of `f32`. What is read from disk is not trusted: every size is bounded before
//! it is allocated, and what is wrong is said with its remedy.

pub mod card;
pub mod error;
mod explain;
pub mod forest;
pub mod import;
pub mod native;
mod onnx;
mod onnxruntime;
pub mod package;
pub mod scorer;

pub use error::{Error, Result};
