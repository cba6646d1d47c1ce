//! The watermark of a stage over exchanges, from the reports of its senders.

use std::collections::BTreeMap;

use super::{Position, SplitId, SplitTime};
use crate::time::Watermark;

/// Watermarks of all the splits behind a stage, as last reported by its senders.
///
/// Part of stage 2's commit: a sender that has ended does not report again after a recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatermarkVector {
    /// By sender and split: two tables may name their splits alike.
    splits: BTreeMap<(u32, SplitId), SplitTime>,
    heard: BTreeMap<u32, u32>,
    /// Where the senders that have ended said so: they will not be heard again.
    ends: BTreeMap<u32, Position>,
    reached: Option<Watermark>,
}

impl WatermarkVector {
    /// Takes in a report of sender `sender` of `senders`, in the record at `position`; the last one for a split wins.
    pub fn hear(&mut self, sender: u32, senders: u32, reported: &BTreeMap<SplitId, SplitTime>, position: Position) {
        self.heard.insert(sender, senders);
        for (split, time) in reported {
            self.splits.insert((sender, split.clone()), *time);
        }
        if !reported.is_empty() && reported.values().all(|time| *time == SplitTime::Active(Watermark::END)) {
            self.ends.entry(sender).or_insert(position);
        } else {
            self.ends.remove(&sender);
        }
    }

    pub fn has_ended(&self, sender: u32) -> bool {
        self.ends.contains_key(&sender)
    }

    /// What is known of the senders that had ended before `position`, and nothing of the others.
    #[must_use]
    pub fn ended_before(&self, position: Position) -> Self {
        let ends: BTreeMap<u32, Position> =
            self.ends.iter().filter(|(_, end)| **end < position).map(|(sender, end)| (*sender, *end)).collect();
        let heard = self.heard.iter().filter(|(sender, _)| ends.contains_key(sender));
        let splits = self.splits.iter().filter(|((sender, _), _)| ends.contains_key(sender));
        Self {
            splits: splits.map(|(split, time)| (split.clone(), *time)).collect(),
            heard: heard.map(|(sender, senders)| (*sender, *senders)).collect(),
            ends,
            reached: None,
        }
    }

    /// The watermark over all splits: the least of those that are not idle, and never less than before. `MIN` until every
    /// sender has been heard, since a split without a report may hold anything.
    pub fn combined(&mut self) -> Watermark {
        let all_heard = self.heard.values().max().is_some_and(|senders| self.heard.len() == *senders as usize);
        let reached = self.reached.unwrap_or(Watermark::MIN);
        if !all_heard {
            return reached;
        }
        let active = self.splits.values().filter_map(|time| match time {
            SplitTime::Active(watermark) => Some(*watermark),
            SplitTime::Idle(_) => None,
        });
        // When every split is idle nothing moves: idleness says nothing about event time. A sender without splits ends.
        let least = if self.splits.is_empty() { Some(Watermark::END) } else { active.min() };
        let combined = least.map_or(reached, |least| least.max(reached));
        self.reached = Some(combined);
        combined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(rows: &[(&str, SplitTime)]) -> BTreeMap<SplitId, SplitTime> {
        rows.iter().map(|(name, time)| (SplitId::from(*name), *time)).collect()
    }

    #[test]
    fn the_slowest_active_split_holds_the_others_back() {
        use SplitTime::{Active, Idle};
        let at = |ns| Watermark(ns);
        let mut vector = WatermarkVector::default();
        vector.hear(0, 2, &reported(&[("a", Active(at(10)))]), Position(0));
        assert_eq!(vector.combined(), Watermark::MIN, "sender 1 has not been heard");
        vector.hear(1, 2, &reported(&[("b", Active(at(5)))]), Position(0));
        assert_eq!(vector.combined(), at(5));
        vector.hear(1, 2, &reported(&[("b", Idle(at(5)))]), Position(0));
        assert_eq!(vector.combined(), at(10), "an idle split is set aside");
        vector.hear(1, 2, &reported(&[("b", Active(at(6)))]), Position(0));
        assert_eq!(vector.combined(), at(10), "never backwards");
        vector.hear(0, 2, &reported(&[("a", Idle(at(10)))]), Position(0));
        vector.hear(1, 2, &reported(&[("b", Idle(at(6)))]), Position(0));
        assert_eq!(vector.combined(), at(10), "all idle: nothing moves");
        vector.hear(0, 2, &reported(&[("a", Active(Watermark::END))]), Position(0));
        vector.hear(1, 2, &reported(&[("b", Active(Watermark::END))]), Position(0));
        assert_eq!(vector.combined(), Watermark::END);
    }
}
