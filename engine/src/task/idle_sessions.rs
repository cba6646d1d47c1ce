//! How far sessions may close in the task that reads their rows: pure functions on nanoseconds.
//!
//! Nothing records there how far sessions had closed when a row was read, so a replay must never have to know it. Therefore an idle split is
//! set aside only when the others have passed the end of the last session that it may have open. From then on nothing of it is
//! open, and its watermark is raised with the others': a row that comes behind it is late like any other, and a replay of the split
//! begins there.

use crate::log::SplitTime;

/// One split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) time: SplitTime,
    /// When the last session of its rows ends.
    pub(super) last_end: i64,
}

/// Through where sessions may close, where they close through `goal` of a watermark.
pub(super) fn session_watermark(edges: &[Edge], goal: impl Fn(i64) -> i64) -> i64 {
    if edges.is_empty() {
        return i64::MAX;
    }
    let active = edges.iter().filter_map(|edge| match edge.time {
        SplitTime::Active(watermark) => Some(watermark.0),
        SplitTime::Idle(_) => None,
    });
    let Some(mut least) = active.min().map(&goal) else { return i64::MIN };
    loop {
        // A split that holds the others back may be what keeps them from passing another one.
        let holding = edges.iter().filter_map(|edge| match edge.time {
            SplitTime::Idle(watermark) if least < edge.last_end => Some(watermark.0),
            SplitTime::Idle(_) | SplitTime::Active(_) => None,
        });
        let held = holding.map(&goal).fold(least, i64::min);
        if held == least {
            return least;
        }
        least = held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Watermark;

    #[test]
    fn an_idle_split_is_set_aside_when_its_sessions_are_over() {
        let active = |watermark| Edge { time: SplitTime::Active(Watermark(watermark)), last_end: i64::MAX };
        let idle = |watermark, last_end| Edge { time: SplitTime::Idle(Watermark(watermark)), last_end };
        let cases: &[(&[Edge], i64)] = &[
            (&[], i64::MAX),
            (&[idle(5, 9)], i64::MIN),
            (&[active(7), active(5)], 5),
            (&[active(20), idle(5, 21)], 5),
            (&[active(20), idle(5, 20)], 20),
            (&[active(20), idle(5, i64::MIN)], 20),
            (&[active(20), idle(25, 30)], 20),
            (&[active(20), idle(5, 20), idle(12, 30)], 5),
            (&[active(20), idle(5, 12), idle(12, 30)], 12),
        ];
        for (edges, expected) in cases {
            assert_eq!(session_watermark(edges, |watermark| watermark), *expected, "{edges:?}");
        }
    }

    #[test]
    fn an_idle_split_holds_the_others_where_sessions_close_late() {
        let tens = |watermark: i64| watermark.div_euclid(10) * 10;
        let active = Edge { time: SplitTime::Active(Watermark(27)), last_end: i64::MAX };
        for (last_end, expected) in [(20, 20), (21, 10)] {
            let idle = Edge { time: SplitTime::Idle(Watermark(15)), last_end };
            assert_eq!(session_watermark(&[active, idle], tens), expected, "{last_end}");
        }
    }
}
