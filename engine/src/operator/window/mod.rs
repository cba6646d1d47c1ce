//! Windows: which one a row is in, and the state that its rows make.

pub mod pane;
pub mod session;
pub mod spec;
mod sum;

use arrow::datatypes::{DataType, Field, Fields};

use self::spec::WindowSpec;

use crate::time::TIMESTAMP;

/// The fields of a window: `start` and `end`, half open; of a session also `is_cut`, whether it went on after it was cut.
pub fn window_fields(spec: WindowSpec) -> Fields {
    let mut fields = vec![Field::new("start", TIMESTAMP, false), Field::new("end", TIMESTAMP, false)];
    if let WindowSpec::Session(_) = spec {
        fields.push(Field::new("is_cut", DataType::Boolean, false));
    }
    fields.into()
}
