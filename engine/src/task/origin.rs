//! Where the rows of a piece of input are from.

use std::cell::OnceCell;

use arrow::array::RecordBatch;

use super::decode::{Decoded, Origins, decode};
use crate::error::Result;
use crate::log::{Fetched, Position};
use crate::operator::guard::row_as_json;
use crate::plan::SourcePlan;

pub(super) struct Origin<'a> {
    pub(super) plan: &'a SourcePlan,
    pub(super) fetched: &'a Fetched,
    pub(super) decoded: &'a Decoded,
    /// The same with each row's message known, once a row has failed.
    pub(super) by_message: OnceCell<Decoded>,
    /// Per row the number that it was decoded with; `None` where no row was left out since.
    pub(super) numbers: Option<&'a [usize]>,
    pub(super) replay: Replay,
}

/// What an earlier owner has read already.
#[derive(Clone, Copy)]
pub(super) struct Replay {
    /// Rows before this have been here once.
    pub(super) until: Position,
    /// Whether the piece begins before that.
    pub(super) is_on: bool,
}

impl<'a> Origin<'a> {
    /// Of rows none of which was left out.
    pub(super) fn of(plan: &'a SourcePlan, fetched: &'a Fetched, decoded: &'a Decoded, replay: Replay) -> Self {
        Self { plan, fetched, decoded, by_message: OnceCell::new(), numbers: None, replay }
    }

    pub(super) fn number(&self, row: usize) -> usize {
        self.numbers.map_or(row, |numbers| numbers[row])
    }

    /// The position of a row, as far as the plan keeps it.
    pub(super) fn position(&self, row: u32) -> u64 {
        self.decoded.position(self.number(row as usize))
    }

    /// What is decoded, with each row's message where there are messages.
    fn known(&self) -> Result<&Decoded> {
        if !self.decoded.lacks_origins(self.fetched) {
            return Ok(self.decoded);
        }
        if let Some(known) = self.by_message.get() {
            return Ok(known);
        }
        let known = decode(self.plan, &mut None, self.fetched, Origins::Known)?;
        Ok(self.by_message.get_or_init(|| known))
    }

    /// The position of a row that fails, whether the plan keeps positions or not.
    pub(super) fn exact_position(&self, row: usize) -> Result<Position> {
        Ok(Position(self.known()?.position(self.number(row))))
    }

    /// A row's message if it has one to itself, else its columns as a JSON object.
    pub(super) fn record(&self, batch: &RecordBatch, row: usize) -> Result<Vec<u8>> {
        let (known, number) = (self.known()?, self.number(row));
        let message = known.message(number, self.fetched).filter(|_| known.is_alone(number));
        Ok(message.map_or_else(|| row_as_json(batch, row), <[u8]>::to_vec))
    }

    /// In words.
    pub(super) fn described(&self, position: Position) -> String {
        let split = &self.fetched.split;
        match split.0.rsplit_once('/') {
            Some((topic, partition)) if self.plan.table.table.has_metadata() => {
                format!("topic `{topic}`, partition {partition}, offset {}", position.0)
            }
            _ => format!("`{split}`, read from position {}", position.0),
        }
    }
}
