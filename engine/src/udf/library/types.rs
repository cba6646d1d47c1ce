//! Which types cross the ABI, and how the C data interface spells them.

use arrow::datatypes::{DataType, TimeUnit};

/// The type under which a column of `data_type` crosses the ABI; `None` where it cannot.
///
/// Arrow 51, which plug-ins are built with, has no views; Arroyo's macro knows no dictionaries, no 64-bit offsets, and one unit of
/// time without a zone.
pub fn abi_type(data_type: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Dictionary, Float32, Float64, Int8, Int16, Int32, Int64, LargeBinary,
        LargeUtf8, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8, Utf8View,
    };
    Some(match data_type {
        Boolean | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 | Float32 | Float64 | Date32 => {
            data_type.clone()
        }
        Utf8 | LargeUtf8 | Utf8View => Utf8,
        Binary | LargeBinary | BinaryView => Binary,
        Timestamp(_, _) => Timestamp(TimeUnit::Microsecond, None),
        Dictionary(_, values) => return abi_type(values),
        _ => return None,
    })
}

/// How the C data interface spells a type; `None` where [`abi_type`] does not give it.
pub(super) fn format(data_type: &DataType) -> Option<&'static str> {
    SPELLED.iter().find(|(known, _)| known == data_type).map(|(_, format)| *format)
}

/// The type behind a format, for messages.
pub(super) fn named(format: &str) -> String {
    match SPELLED.iter().find(|(_, known)| *known == format) {
        Some((data_type, _)) => format!("`{data_type}`"),
        None => format!("the Arrow format `{}`", format.escape_debug()),
    }
}

const SPELLED: &[(DataType, &str)] = &[
    (DataType::Boolean, "b"),
    (DataType::Int8, "c"),
    (DataType::UInt8, "C"),
    (DataType::Int16, "s"),
    (DataType::UInt16, "S"),
    (DataType::Int32, "i"),
    (DataType::UInt32, "I"),
    (DataType::Int64, "l"),
    (DataType::UInt64, "L"),
    (DataType::Float32, "f"),
    (DataType::Float64, "g"),
    (DataType::Utf8, "u"),
    (DataType::Binary, "z"),
    (DataType::Date32, "tdD"),
    (DataType::Timestamp(TimeUnit::Microsecond, None), "tsu:"),
];
