//! A row of a topic, as `davy tail` shows it.

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailRow {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// In milliseconds since 1970.
    pub written_at_ms: i64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
}
