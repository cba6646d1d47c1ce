//! Writes protobuf messages.

/// A message that is being written.
#[derive(Debug, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    fn tag(&mut self, number: u32, wire_type: u32) {
        self.varint(u64::from(number << 3 | wire_type));
    }

    fn varint(&mut self, mut value: u64) {
        while 0x80 <= value {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub(crate) fn int(mut self, number: u32, value: i64) -> Self {
        self.tag(number, 0);
        self.varint(value.cast_unsigned());
        self
    }

    /// Bytes, or a text.
    pub(crate) fn bytes(mut self, number: u32, bytes: impl AsRef<[u8]>) -> Self {
        self.tag(number, 2);
        self.varint(bytes.as_ref().len() as u64);
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A message in the message.
    pub(crate) fn message(self, number: u32, message: &Message) -> Self {
        self.bytes(number, &message.0)
    }

    pub(crate) fn ints(self, number: u32, values: impl IntoIterator<Item = i64>) -> Self {
        let mut packed = Self::default();
        values.into_iter().for_each(|value| packed.varint(value.cast_unsigned()));
        self.bytes(number, packed.0)
    }

    /// A field as it stood in another message.
    pub(crate) fn raw(mut self, field: &[u8]) -> Self {
        self.0.extend_from_slice(field);
        self
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}
