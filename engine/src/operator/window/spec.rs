//! Which window a row is in: pure arithmetic on nanoseconds.
//!
//! Windows are half open, `[start, end)`, and aligned to the epoch. Hopping windows share panes, slices as wide as the greatest
//! common divisor of slide and width: a row is aggregated once, into its pane, however many windows cover it.

use std::fmt;
use std::time::Duration;

use super::session::SessionLimits;
use crate::error::{Error, Result};

/// The shape of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowSpec {
    /// Windows of one width that begin every `slide`; tumbling when both are equal. All in nanoseconds, positive.
    Hop {
        /// From one start to the next.
        slide: i64,
        /// From start to end.
        width: i64,
    },
    /// Rows of a key that are less than a gap apart, cut where they last too long.
    Session(SessionLimits),
}

impl WindowSpec {
    pub fn tumble(width: i64) -> Result<Self> {
        if width <= 0 {
            return Err(
                Error::invalid("tumble: the width must be longer than zero").hint("write tumble(INTERVAL '1 minute')")
            );
        }
        Self::hop(width, width)
    }

    pub fn hop(slide: i64, width: i64) -> Result<Self> {
        if slide <= 0 || width <= 0 {
            return Err(Error::invalid("hop: slide and width must be longer than zero")
                .hint("write hop(INTERVAL '1 minute', INTERVAL '15 minutes'): slide, then width"));
        }
        if width < slide {
            return Err(Error::invalid(format!(
                "hop: the slide ({}) is longer than the width ({}), so rows between windows would be lost",
                human(slide),
                human(width)
            ))
            .hint("the arguments are hop(slide, width)"));
        }
        if gcd(slide, width) < MIN_PANE {
            return Err(Error::invalid("hop: slide and width have no common divisor of a millisecond or more")
                .hint("write both in whole milliseconds"));
        }
        if MAX_PANES < width / gcd(slide, width) {
            return Err(Error::invalid(format!(
                "hop: a window of {} would have more than {MAX_PANES} panes",
                human(width)
            ))
            .hint("make the slide longer, or a divisor of the width"));
        }
        Ok(Self::Hop { slide, width })
    }

    /// `max` in nanoseconds as well.
    pub fn session(gap: i64, max: i64) -> Result<Self> {
        if gap <= 0 {
            return Err(
                Error::invalid("session: the gap must be longer than zero").hint("write session(INTERVAL '5 minutes')")
            );
        }
        if max < gap {
            return Err(Error::invalid(format!(
                "session: the gap ({}) is longer than `max_session` ({})",
                human(gap),
                human(max)
            ))
            .hint("SET max_session = '7 days', or whatever a session may last at most"));
        }
        Ok(Self::Session(SessionLimits { gap, max }))
    }

    /// Whether a row is in one window only.
    pub fn is_tumbling(self) -> bool {
        matches!(self, Self::Hop { slide, width } if slide == width)
    }

    pub fn is_session(self) -> bool {
        matches!(self, Self::Session(_))
    }

    /// How far a window may begin before a row in it, or end after it.
    pub fn reach(self) -> i64 {
        match self {
            Self::Hop { width, .. } => width,
            Self::Session(limits) => limits.gap,
        }
    }

    /// The width of the slices that rows are aggregated into; a session has none.
    pub fn pane_width(self) -> i64 {
        match self {
            Self::Hop { slide, width } => gcd(slide, width),
            Self::Session(SessionLimits { gap, .. }) => gap,
        }
    }

    /// The end of the last window that a row at `time` (or a pane that starts there) can be in.
    pub fn last_end(self, time: i64) -> i64 {
        match self {
            Self::Hop { slide, width } => floor(time, slide).saturating_add(width),
            Self::Session(SessionLimits { gap, .. }) => time.saturating_add(gap),
        }
    }

    /// Whether a row at `time` comes too late: after its last window has closed; for sessions, behind the watermark.
    ///
    /// A session that has closed ended at or before the watermark, so a row at or after the watermark can never touch it,
    /// wherever commits fall and whatever a replay brings back. A row behind it might, so it is given up.
    pub fn is_late(self, time: i64, watermark: i64) -> bool {
        match self {
            // Most rows are ahead of the watermark, and need no division.
            Self::Hop { .. } => time < watermark && self.last_end(time) <= watermark,
            Self::Session(_) => time < watermark,
        }
    }

    /// The key that a row at `time` is aggregated under: its pane's start, plus how many of the pane's windows had closed when
    /// the row came. Those windows do not get the row, whenever stage 2 closes them, so what a window holds does not depend on
    /// where commits fall. Sessions have no panes.
    pub fn pane_key(self, time: i64, watermark: i64) -> i64 {
        let pane = floor(time, self.pane_width());
        let Self::Hop { slide, .. } = self else { return pane };
        let first_end = self.first_end(pane);
        if watermark < first_end {
            return pane;
        }
        pane + (watermark - first_end) / slide + 1
    }

    /// Whether what was aggregated under a pane key belongs to the window that ends at `end` (and covers the pane).
    pub fn is_for(self, pane_key: i64, end: i64) -> bool {
        let Self::Hop { slide, .. } = self else { return true };
        let pane = floor(pane_key, self.pane_width());
        pane_key - pane <= (end - self.first_end(pane)) / slide
    }

    /// The end of the first window that covers a pane.
    fn first_end(self, pane: i64) -> i64 {
        self.window_ends(pane).next().unwrap_or(i64::MAX)
    }

    /// The ends of the hopping windows that cover the pane starting at `pane`, ascending.
    pub fn window_ends(self, pane: i64) -> impl Iterator<Item = i64> {
        let (slide, width) = match self {
            Self::Hop { slide, width } => (slide, width),
            Self::Session(SessionLimits { gap, .. }) => (gap, gap),
        };
        let last_start = floor(pane, slide);
        let n_windows = (width - (pane - last_start) + slide - 1) / slide;
        (0..n_windows).rev().map(move |index| last_start.saturating_sub(index * slide).saturating_add(width))
    }
}

/// A window of more panes than this is refused: closing it would merge that many slices.
const MAX_PANES: i64 = 100_000;
/// Panes are at least a millisecond wide, which leaves room for [`WindowSpec::pane_key`]'s count between their starts.
const MIN_PANE: i64 = 1_000_000;

impl fmt::Display for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Hop { slide, width } if slide == width => write!(f, "tumble({})", human(width)),
            Self::Hop { slide, width } => write!(f, "hop({}, {})", human(slide), human(width)),
            Self::Session(SessionLimits { gap, .. }) => write!(f, "session({})", human(gap)),
        }
    }
}

/// The greatest multiple of `step` at or below `time`.
pub fn floor(time: i64, step: i64) -> i64 {
    time.div_euclid(step).saturating_mul(step)
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn human(ns: i64) -> String {
    humantime::format_duration(Duration::from_nanos(ns.unsigned_abs())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn a_pane_is_covered_by_every_window_that_contains_it() {
        let cases: &[((i64, i64), i64, &[i64])] = &[
            ((10, 10), 0, &[10]),
            ((10, 10), 10, &[20]),
            ((5, 15), 10, &[15, 20, 25]),
            ((5, 15), 0, &[5, 10, 15]),
            ((10, 15), 0, &[5, 15]),
            ((10, 15), 5, &[15]),
            ((10, 15), 10, &[15, 25]),
            ((5, 15), -5, &[0, 5, 10]),
        ];
        for ((slide, width), pane, expected) in cases {
            let spec = WindowSpec::hop(*slide * MS, *width * MS).expect("valid");
            let found: Vec<i64> = spec.window_ends(*pane * MS).collect();
            let expected: Vec<i64> = expected.iter().map(|end| end * MS).collect();
            assert_eq!(found, expected, "hop({slide}, {width}) pane {pane}");
            for end in found {
                assert!(
                    end - width * MS <= pane * MS && pane * MS + spec.pane_width() <= end,
                    "window {end} holds the pane"
                );
            }
        }
    }

    #[test]
    fn a_row_on_the_boundary_belongs_to_the_later_window() {
        let spec = WindowSpec::tumble(60 * MS).expect("valid");
        assert_eq!(spec.last_end(60 * MS - 1), 60 * MS);
        assert_eq!(spec.last_end(60 * MS), 120 * MS);
        assert!(!spec.is_late(60 * MS - 1, 60 * MS - 1));
        assert!(spec.is_late(60 * MS - 1, 60 * MS));
        assert!(!spec.is_late(60 * MS, 60 * MS));
    }

    #[test]
    fn windows_that_lose_rows_or_explode_are_refused() {
        for (slide, width) in [(0, 1), (1, 0), (-1, 1), (2, 1), (1, 1_000_000)] {
            assert!(WindowSpec::hop(slide * MS, width * MS).is_err(), "hop({slide}, {width})");
        }
        assert!(WindowSpec::session(0, 9).is_err());
        assert!(WindowSpec::session(10, 9).is_err());
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for spec in [WindowSpec::hop(7 * MS, 21 * MS).expect("valid"), WindowSpec::session(9, 9).expect("valid")] {
            for time in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
                spec.last_end(time);
                spec.window_ends(floor(time, spec.pane_width())).count();
            }
        }
    }

    #[test]
    fn a_row_counts_in_the_windows_that_were_open_when_it_came() {
        let spec = WindowSpec::hop(5 * MS, 15 * MS).expect("valid");
        // A row at 7 is in the windows that end at 10, 15 and 20.
        let cases: &[(i64, &[i64])] =
            &[(i64::MIN, &[10, 15, 20]), (9, &[10, 15, 20]), (10, &[15, 20]), (14, &[15, 20]), (15, &[20])];
        for (watermark, expected) in cases {
            let key = spec.pane_key(7 * MS, watermark.saturating_mul(MS));
            let open: Vec<i64> =
                spec.window_ends(5 * MS).filter(|end| spec.is_for(key, *end)).map(|end| end / MS).collect();
            assert_eq!(open, *expected, "watermark {watermark}");
        }
        assert!(spec.is_late(7 * MS, 20 * MS), "none was open");
    }
}
