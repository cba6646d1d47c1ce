//! Which spans of time make a session, and where one that is too long is cut: pure functions on nanoseconds.
//!
//! A session that has lasted for `max` is cut at multiples of `max` since the epoch: its first part is at least `max` long, those after
//! it are as long as `max`. Where it is cut depends on nothing but its rows. Whether it is cut at a boundary depends on how long it has
//! lasted there, so rows of the part before the boundary are enough to find out; a replay brings them back (see
//! [`Run::needed_from`]).

use crate::operator::window::spec::floor;

/// When sessions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionLimits {
    /// Rows of a key that are less than this apart are of one session.
    pub gap: i64,
    /// The distance of the boundaries at which long sessions are cut; at least `gap`.
    pub max: i64,
}

/// Rows of a key from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// The number of the key.
    pub(super) key: usize,
    pub(super) first: i64,
    pub(super) last: i64,
    /// Since when the session lasts, its earlier parts included.
    pub(super) since: i64,
}

/// A run of sorted spans that make one session, or one part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Positions in the sorted order, half open.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) first: i64,
    pub(super) last: i64,
    pub(super) since: i64,
    /// Another part follows.
    pub(super) is_cut: bool,
}

impl Run {
    /// How many spans it has.
    pub(super) fn len(&self) -> usize {
        self.to - self.from
    }

    /// The end of its window.
    pub(super) fn end(&self, limits: SessionLimits) -> i64 {
        self.last.saturating_add(limits.gap)
    }

    /// The earliest row that a replay needs to find the same run: of a later part, those that show that the session had lasted long enough
    /// to be cut where this part begins.
    pub(super) fn needed_from(&self, limits: SessionLimits) -> i64 {
        if self.since == self.first {
            return self.first;
        }
        let boundary = floor(self.first, limits.max);
        self.since.max(boundary.saturating_sub(limits.max).saturating_sub(limits.gap))
    }
}

/// Spans, sorted by (key, first).
pub(super) struct Sorted {
    pub(super) order: Vec<u32>,
    pub(super) runs: Vec<Run>,
}

/// Which boundaries end a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boundaries {
    /// Each: the result can be cut at any of them later.
    All,
    /// Those that a session reaches after it has lasted for `max`.
    OfLongSessions,
}

/// Joins spans of the same key that are less than the gap apart. No span may contain a boundary.
pub(super) fn join_spans(spans: &[Span], limits: SessionLimits, boundaries: Boundaries) -> Sorted {
    let mut order: Vec<u32> = (0..spans.len() as u32).collect();
    order.sort_unstable_by_key(|&index| (spans[index as usize].key, spans[index as usize].first));
    let mut runs: Vec<Run> = Vec::new();
    let mut key = usize::MAX;
    for (position, &index) in order.iter().enumerate() {
        let span = spans[index as usize];
        let current = runs.last_mut().filter(|run| key == span.key && span.first < run.end(limits));
        key = span.key;
        let mut since = span.since;
        if let Some(run) = current {
            let boundary = floor(span.first, limits.max);
            let is_cut = run.last < boundary
                && match boundaries {
                    Boundaries::All => true,
                    Boundaries::OfLongSessions => run.since.saturating_add(limits.max) <= boundary,
                };
            if !is_cut {
                run.last = run.last.max(span.last);
                run.to = position + 1;
                continue;
            }
            run.is_cut = true;
            since = run.since;
        }
        let Span { first, last, .. } = span;
        runs.push(Run { from: position, to: position + 1, first, last, since, is_cut: false });
    }
    Sorted { order, runs }
}

/// Runs taken apart at every boundary: a session that turns out to have begun earlier may be cut at other ones.
pub(super) fn within_boundaries(order: &[u32], spans: &[Span], runs: &[Run], limits: SessionLimits) -> Vec<Run> {
    let mut parts: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        let mut boundary = None;
        for position in run.from..run.to {
            let span = spans[order[position] as usize];
            let its_boundary = Some(floor(span.first, limits.max));
            match parts.last_mut() {
                Some(part) if boundary == its_boundary => {
                    part.last = part.last.max(span.last);
                    part.to = position + 1;
                }
                _ => parts.push(Run { from: position, to: position + 1, first: span.first, last: span.last, ..*run }),
            }
            boundary = its_boundary;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SessionLimits = SessionLimits { gap: 4, max: 10 };

    /// First and last row, and whether another part follows.
    type Part = (i64, i64, bool);

    fn runs(spans: &[(i64, i64, i64)], boundaries: Boundaries) -> Vec<Part> {
        let spans: Vec<Span> = spans.iter().map(|&(first, last, since)| Span { key: 0, first, last, since }).collect();
        join_spans(&spans, LIMITS, boundaries).runs.iter().map(|run| (run.first, run.last, run.is_cut)).collect()
    }

    #[test]
    fn a_session_is_cut_at_boundaries_once_it_has_lasted_long_enough() {
        // Rows of one key, and the runs (first, last, is cut) they make.
        let cases: &[(&[i64], &[Part])] = &[
            (&[8, 11], &[(8, 11, false)]),
            (&[1, 4, 7, 9, 10, 13], &[(1, 13, false)]),
            (&[0, 3, 6, 9, 10, 13], &[(0, 9, true), (10, 13, false)]),
            (&[1, 4, 7, 9, 12, 15, 18, 21], &[(1, 18, true), (21, 21, false)]),
            (&[1, 4, 7, 9, 12, 15, 18, 21, 24, 27, 29, 31], &[(1, 18, true), (21, 29, true), (31, 31, false)]),
            (&[1, 4, 7, 9, 12, 15, 18, 22], &[(1, 18, false), (22, 22, false)]),
            (&[-13, -10, -7, -4, -1, 2], &[(-13, -1, true), (2, 2, false)]),
        ];
        for (rows, expected) in cases {
            let spans: Vec<(i64, i64, i64)> = rows.iter().map(|row| (*row, *row, *row)).collect();
            assert_eq!(runs(&spans, Boundaries::OfLongSessions), *expected, "{rows:?}");
            let shuffled: Vec<(i64, i64, i64)> = spans.iter().rev().copied().collect();
            assert_eq!(runs(&shuffled, Boundaries::OfLongSessions), *expected, "{rows:?} backwards");
            // Cut at every boundary first, it is cut at the same ones.
            let sorted = runs(&spans, Boundaries::All);
            let parts: Vec<(i64, i64, i64)> = sorted.iter().map(|(first, last, _)| (*first, *last, *first)).collect();
            assert_eq!(runs(&parts, Boundaries::OfLongSessions), *expected, "{rows:?} by parts");
        }
    }

    #[test]
    fn a_later_part_knows_since_when_the_session_lasts() {
        let expected = [(20, 29, true), (30, 30, false)];
        assert_eq!(runs(&[(20, 29, 3), (30, 30, 30)], Boundaries::OfLongSessions), expected);
        assert_eq!(runs(&[(21, 29, 3), (30, 30, 30)], Boundaries::OfLongSessions), [(21, 29, true), (30, 30, false)]);
        assert_eq!(runs(&[(21, 29, 21), (30, 30, 30)], Boundaries::OfLongSessions), [(21, 30, false)]);
    }

    #[test]
    fn a_run_is_taken_apart_at_every_boundary() {
        let spans = [1, 4, 7, 9, 12, 15, 18].map(|time| Span { key: 0, first: time, last: time, since: time });
        let Sorted { order, runs } = join_spans(&spans, LIMITS, Boundaries::OfLongSessions);
        let parts = within_boundaries(&order, &spans, &runs, LIMITS);
        let found: Vec<_> = parts.iter().map(|part| (part.from, part.to, part.first, part.last, part.since)).collect();
        assert_eq!(found, [(0, 4, 1, 9, 1), (4, 7, 12, 18, 1)]);
    }

    #[test]
    fn what_a_replay_needs_is_bounded() {
        let run = |first: i64, since: i64| Run { from: 0, to: 1, first, last: first, since, is_cut: false };
        let cases = [(run(21, 21), 21), (run(21, 15), 15), (run(21, 3), 6), (run(105, 3), 86)];
        for (run, expected) in cases {
            assert_eq!(run.needed_from(LIMITS), expected, "{run:?}");
        }
    }
}
