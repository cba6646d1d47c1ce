//! FNV-1a over parts whose boundaries count: stable across builds and machines.

use std::hash::Hasher;

/// A hash of some parts in their order.
#[derive(Clone, Copy)]
pub(super) struct Parts(u64);

impl Parts {
    /// Of a thing of this kind. A kind's name is stored with state: it must not change.
    pub(super) fn of(kind: &str) -> Self {
        Self(0xcbf2_9ce4_8422_2325).text(kind)
    }

    /// With its length, so that `ab`, `c` differs from `a`, `bc`.
    pub(super) fn text(self, text: &str) -> Self {
        let mut hasher = self.number(text.len() as u64);
        hasher.write(text.as_bytes());
        hasher
    }

    pub(super) fn number(mut self, number: u64) -> Self {
        self.write(&number.to_le_bytes());
        self
    }

    pub(super) fn flag(self, flag: bool) -> Self {
        self.number(flag.into())
    }

    /// Each of some hashes, and how many there are.
    pub(super) fn all(self, parts: &[u64]) -> Self {
        parts.iter().fold(self.number(parts.len() as u64), |hasher, part| hasher.number(*part))
    }
}

impl Hasher for Parts {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
