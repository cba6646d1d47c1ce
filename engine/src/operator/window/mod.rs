//! Windows: which one a row is in, and the state that its rows make.

mod emit;
mod extreme;
pub mod pane;
pub mod session;
pub mod spec;
mod sum;

use arrow::datatypes::{DataType, Field, FieldRef, Fields};

use self::session::SessionLimits;
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

/// Whether a type is that of a window.
pub fn is_window(data_type: &DataType) -> bool {
    let DataType::Struct(fields) = data_type else { return false };
    let are_those_of = |spec| {
        let known = window_fields(spec);
        let is_same = |(a, b): (&FieldRef, &FieldRef)| a.name() == b.name() && a.data_type() == b.data_type();
        fields.len() == known.len() && fields.iter().zip(&known).all(is_same)
    };
    are_those_of(WindowSpec::Hop { slide: 1, width: 1 })
        || are_those_of(WindowSpec::Session(SessionLimits { gap: 1, max: 1 }))
}
