//! How far event time had come before each record of an exchange's partition, from what the partition itself holds.
//!
//! Sessions are judged by it: which partials come too late for them, and which sessions are over when a partial comes. It depends on
//! nothing but the records before, so a replay judges alike, whatever other partitions, commits and closed windows did meanwhile. What
//! holds before the first record that is needed is part of the commit: one number, and where to begin reading so that every sender is
//! heard again before that record (senders repeat themselves every few seconds).

use std::collections::BTreeSet;

use super::watermarks::WatermarkVector;
use super::{Judged, Partials, Position};

/// A place in the partition, and what a replay needs to judge the records from there on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The next record.
    pub position: Position,
    /// The watermark of all senders before it.
    pub watermark: i64,
    /// Where a replay begins: it hears all senders before it comes to `position`.
    pub heard_from: Position,
}

/// The event time of one partition, record by record.
#[derive(Debug)]
pub struct LogTime {
    heard: WatermarkVector,
    watermark: i64,
    /// Records before this bring watermarks only.
    judged_from: Position,
    /// Where the last round of all senders began.
    last_round: Position,
    /// Where the round began that is not complete, and whom it has heard.
    round: Position,
    in_round: BTreeSet<u32>,
}

impl LogTime {
    /// Begins to read at `read_from`, to judge as `judged` says. `last_heard` is what the last owner had heard, where the log keeps that: in it
    /// are the senders that had ended before, and will not be heard again.
    pub fn new(read_from: Position, judged: Option<Judged>, last_heard: Option<&WatermarkVector>) -> Self {
        let Judged { from, watermark } = judged.unwrap_or(Judged { from: read_from, watermark: i64::MIN });
        Self {
            heard: last_heard.map(|heard| heard.ended_before(read_from)).unwrap_or_default(),
            watermark,
            judged_from: from,
            last_round: read_from,
            round: read_from,
            in_round: BTreeSet::new(),
        }
    }

    /// Whether the record at `start` is one that is judged; those before it are not needed.
    pub fn is_judged(&self, start: Position) -> bool {
        self.judged_from <= start
    }

    /// What holds before the record at `position`, the next one.
    pub fn moment(&self, position: Position) -> Moment {
        Moment {
            position: position.max(self.judged_from),
            watermark: self.watermark,
            heard_from: self.last_round.min(position.max(self.judged_from)),
        }
    }

    /// Takes in the watermarks of the record at `start`, which ends at `next`.
    pub fn hear(&mut self, partials: &Partials, start: Position, next: Position) {
        let Partials { sender, senders, watermarks, .. } = partials;
        self.heard.hear(*sender, *senders, watermarks, start);
        self.in_round.insert(*sender);
        if (0..*senders).all(|sender| self.in_round.contains(&sender) || self.heard.has_ended(sender)) {
            (self.last_round, self.round) = (self.round, next);
            self.in_round.clear();
        }
        if self.is_judged(start) {
            self.watermark = self.watermark.max(self.heard.combined().0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::log::{SplitId, SplitTime};
    use crate::time::Watermark;

    fn report(sender: u32, senders: u32, time: SplitTime) -> Partials {
        let watermarks = BTreeMap::from([(SplitId::from("s"), time)]);
        Partials { sender, senders, batch: None, watermarks: Arc::new(watermarks) }
    }

    /// What holds before each record, from `from` on.
    fn read(log: &[Partials], from: Position, judged: Option<Judged>) -> Vec<Moment> {
        let mut time = LogTime::new(from, judged, None);
        let mut moments = Vec::new();
        for (at, partials) in log.iter().enumerate().skip(from.0 as usize) {
            moments.push(time.moment(Position(at as u64)));
            time.hear(partials, Position(at as u64), Position(at as u64 + 1));
        }
        moments
    }

    #[test]
    fn a_round_is_complete_when_every_sender_is_heard() {
        use SplitTime::{Active, Idle};
        let at = |sender, ns| report(sender, 2, Active(Watermark(ns)));
        let idle = |sender, ns| report(sender, 2, Idle(Watermark(ns)));
        let log = [at(0, 5), at(0, 6), at(1, 4), idle(1, 4), at(0, 9), at(1, 3), at(1, 3)];
        let found: Vec<(i64, u64)> =
            read(&log, Position(0), None).into_iter().map(|moment| (moment.watermark, moment.heard_from.0)).collect();
        let never = i64::MIN;
        assert_eq!(found, [(never, 0), (never, 0), (never, 0), (4, 0), (6, 0), (9, 3), (9, 3)]);
    }

    #[test]
    fn a_sender_that_has_ended_keeps_nothing_from_being_dropped() {
        let at = |sender, ns| report(sender, 2, SplitTime::Active(Watermark(ns)));
        let log = [at(1, i64::MAX), at(0, 1), at(0, 2), at(0, 3), at(0, 4)];
        assert_eq!(read(&log, Position(0), None)[4].heard_from, Position(3));
    }

    proptest! {
        #[test]
        fn a_replay_judges_alike(
            reports in prop::collection::vec((0u32..3, 0i64..50, any::<bool>()), 1..40),
            at in 0usize..40,
            again in 0usize..40,
        ) {
            let log: Vec<Partials> = reports
                .into_iter()
                .map(|(sender, ns, is_idle)| {
                    let time = Watermark(ns);
                    report(sender, 3, if is_idle { SplitTime::Idle(time) } else { SplitTime::Active(time) })
                })
                .collect();
            let first = read(&log, Position(0), None);
            let judged = |moment: &Moment| Judged { from: moment.position, watermark: moment.watermark };
            let moment = first[at % first.len()];
            let replay = read(&log, moment.heard_from, Some(judged(&moment)));
            let from = (moment.position.0 - moment.heard_from.0) as usize;
            let watermarks = |moments: &[Moment]| moments.iter().map(|moment| moment.watermark).collect::<Vec<_>>();
            prop_assert_eq!(watermarks(&replay[from..]), watermarks(&first[moment.position.0 as usize..]));
            // A replay that is itself replayed, from any place in it.
            let moment = replay[again % replay.len()];
            let replay = read(&log, moment.heard_from, Some(judged(&moment)));
            let from = (moment.position.0 - moment.heard_from.0) as usize;
            prop_assert_eq!(watermarks(&replay[from..]), watermarks(&first[moment.position.0 as usize..]));
        }
    }
}
