//! Windows: which one a row is in, and the state that its rows make.

pub mod pane;
pub mod session;
pub mod spec;

use arrow::datatypes::{DataType, Field, Fields};

use crate::time::TIMESTAMP;

/// The type of a window: `{start, end}`, half open.
pub fn window_type() -> DataType {
    DataType::Struct(Fields::from(vec![Field::new("start", TIMESTAMP, false), Field::new("end", TIMESTAMP, false)]))
}
