//! Event time and watermark of decoded rows, and which rows have none that can be used.
//!
//! A row whose timestamp is too far in the future is a bad record: its watermark would make every later row of the split late. It is
//! measured against the timestamp of its message, so that a replay decides the same; without messages, against the start of the run.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, BooleanArray, Int64Array, RecordBatch, TimestampNanosecondArray, UInt32Array};
use arrow::compute::{cast, filter, filter_record_batch, max, min};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimestampNanosecondType};
use datafusion::physical_expr::PhysicalExpr;

use crate::error::Result;
use crate::format::BadReason;
use crate::operator::partial::{EVENT_TIME, ROW, WATERMARK};
use crate::operator::watermark::SplitWatermark;
use crate::operator::window::session::batch_of;
use crate::plan::{EventTime, WatermarkRule};
use crate::time::{TIMESTAMP, format_ns};

/// The latest timestamp that rows may have, ns since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Limits {
    /// Any.
    None,
    /// One for all rows.
    Same(i64),
    /// By row.
    PerRow(Vec<i64>),
}

impl Limits {
    fn at(&self, row: usize) -> i64 {
        match self {
            Self::None => i64::MAX,
            Self::Same(limit) => *limit,
            Self::PerRow(limits) => limits[row],
        }
    }

    fn least(&self) -> i64 {
        match self {
            Self::None => i64::MAX,
            Self::Same(limit) => *limit,
            Self::PerRow(limits) => limits.iter().copied().min().unwrap_or(i64::MAX),
        }
    }
}

/// A row without an event time that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) row: usize,
    pub(super) reason: BadReason,
    pub(super) detail: String,
}

impl Fault {
    /// A row on which the event time or the watermark failed; the policy for such rows was applied.
    pub(super) fn of_failure(row: usize) -> Self {
        Self { row, reason: BadReason::Expression, detail: String::new() }
    }
}

/// Decoded rows with their event times.
pub(super) struct Timed {
    batch: RecordBatch,
    times: TimestampNanosecondArray,
    candidates: Candidates,
    /// The event times whose windows begin and end within what a timestamp can hold.
    range: RangeInclusive<i64>,
}

/// What each row says of the watermark.
enum Candidates {
    /// The event time less so many nanoseconds.
    Behind(i64),
    Known(Vec<i64>),
}

impl Timed {
    pub(super) fn evaluate(event_time: &EventTime, batch: &RecordBatch) -> Result<Self> {
        let times = evaluate_time(&event_time.time, batch)?;
        let candidates = match &event_time.watermark {
            WatermarkRule::Behind(ns) => Candidates::Behind(*ns),
            WatermarkRule::Expression(expression) => {
                let candidates = evaluate_time(expression, batch)?;
                // A row without a watermark says nothing of the future.
                Candidates::Known(candidates.iter().map(|candidate| candidate.unwrap_or(i64::MIN)).collect())
            }
        };
        let range = i64::MIN.saturating_add(event_time.reach_ns)..=i64::MAX.saturating_sub(event_time.reach_ns);
        Ok(Self { batch: batch.clone(), times, candidates, range })
    }

    /// The latest event time.
    pub(super) fn latest(&self) -> i64 {
        max(&self.times).unwrap_or(i64::MIN)
    }

    fn is_in_range(&self) -> bool {
        let bounds = min(&self.times).zip(max(&self.times));
        bounds.is_none_or(|(earliest, latest)| self.range.contains(&earliest) && self.range.contains(&latest))
    }

    /// Whether every row has a timestamp before `limits`. May be false although they have, if only the least of them is known.
    pub(super) fn is_within(&self, limits: &Limits) -> bool {
        let latest = self.latest();
        let candidate = match &self.candidates {
            Candidates::Behind(ns) => latest.saturating_sub(*ns),
            Candidates::Known(candidates) => candidates.iter().copied().max().unwrap_or(i64::MIN),
        };
        latest.max(candidate) <= limits.least()
    }

    /// The rows without an event time, or with one beyond `limits`.
    pub(super) fn faults(&self, limits: &Limits) -> Vec<Fault> {
        if self.times.null_count() == 0 && self.is_within(limits) && self.is_in_range() {
            return Vec::new();
        }
        (0..self.times.len()).filter_map(|row| self.fault(row, limits.at(row))).collect()
    }

    fn fault(&self, row: usize, limit: i64) -> Option<Fault> {
        if self.times.is_null(row) {
            let detail = "the event time is null".to_owned();
            return Some(Fault { row, reason: BadReason::NoEventTime, detail });
        }
        let time = self.times.value(row);
        let candidate = match &self.candidates {
            Candidates::Behind(ns) => time.saturating_sub(*ns),
            Candidates::Known(candidates) => candidates[row],
        };
        let (name, found) = if limit < time { ("event time", time) } else { ("watermark", candidate) };
        let detail = || {
            format!(
                "the {name} {} is after {}, the latest that `max_future` allows",
                format_ns(found),
                format_ns(limit)
            )
        };
        if limit < found {
            return Some(Fault { row, reason: BadReason::Future, detail: detail() });
        }
        let detail = || format!("the event time {} has windows that reach beyond 1677 or 2262", format_ns(time));
        (!self.range.contains(&time)).then(|| Fault { row, reason: BadReason::NoEventTime, detail: detail() })
    }

    /// Leaves out rows with faults, by their number.
    pub(super) fn without(self, faults: &[Fault]) -> Result<Self> {
        if faults.is_empty() {
            return Ok(self);
        }
        let mut is_kept = vec![true; self.times.len()];
        faults.iter().for_each(|fault| is_kept[fault.row] = false);
        let candidates = match self.candidates {
            Candidates::Behind(ns) => Candidates::Behind(ns),
            Candidates::Known(known) => {
                let kept = known.into_iter().zip(&is_kept).filter(|(_, is_kept)| **is_kept);
                Candidates::Known(kept.map(|(candidate, _)| candidate).collect())
            }
        };
        let is_kept = BooleanArray::from(is_kept);
        let times = filter(&self.times, &is_kept)?.as_primitive::<TimestampNanosecondType>().clone();
        Ok(Self { batch: filter_record_batch(&self.batch, &is_kept)?, times, candidates, range: self.range })
    }

    /// Advances the watermark over the rows, which all have an event time, and adds event time, the watermark before each row and the
    /// row's number to them.
    pub(super) fn advance(
        self,
        watermark: &mut SplitWatermark,
        lateness: Duration,
        now: Duration,
    ) -> Result<RecordBatch> {
        let Self { batch, times, candidates, range: _ } = self;
        let n_rows = batch.num_rows();
        let mut before = Vec::new();
        let lateness = i64::try_from(lateness.as_nanos()).unwrap_or(i64::MAX);
        if 0 < n_rows {
            match candidates {
                Candidates::Behind(ns) => {
                    watermark.advance(times.values(), lateness.saturating_add(ns), now, &mut before);
                }
                Candidates::Known(known) => watermark.advance(&known, lateness, now, &mut before),
            }
        }
        let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
        fields.extend(hidden_columns());
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(times));
        columns.push(Arc::new(Int64Array::from(before)));
        columns.push(Arc::new(UInt32Array::from_iter_values(0..n_rows as u32)));
        batch_of(&Arc::new(Schema::new(fields)), columns, n_rows)
    }
}

/// The columns that stage 1 adds to a source's own.
pub(crate) fn hidden_columns() -> [FieldRef; 3] {
    [
        Arc::new(Field::new(EVENT_TIME, TIMESTAMP, false)),
        Arc::new(Field::new(WATERMARK, DataType::Int64, false)),
        Arc::new(Field::new(ROW, DataType::UInt32, false)),
    ]
}

fn evaluate_time(expression: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<TimestampNanosecondArray> {
    let array = expression.evaluate(batch)?.into_array(batch.num_rows())?;
    let array = cast(&array, &TIMESTAMP)?;
    Ok(array.as_primitive::<TimestampNanosecondType>().clone())
}

/// The latest timestamp that a row may have which is measured against `reference`.
pub(super) fn limit(reference: i64, max_future: Duration) -> i64 {
    reference.saturating_add(i64::try_from(max_future.as_nanos()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::{Position, SplitTime};
    use crate::time::Watermark;

    fn timed(times: &[Option<i64>], candidates: Candidates) -> Timed {
        let times = TimestampNanosecondArray::from(times.to_vec());
        let batch = batch_of(&Arc::new(Schema::empty()), Vec::new(), times.len()).expect("rows without columns");
        Timed { batch, times, candidates, range: i64::MIN..=i64::MAX }
    }

    #[test]
    fn rows_beyond_their_limit_are_bad() {
        use BadReason::{Future, NoEventTime};
        type Case = (&'static [Option<i64>], Candidates, Limits, &'static [(usize, BadReason)]);
        let cases: [Case; 7] = [
            (&[Some(i64::MAX)], Candidates::Behind(0), Limits::None, &[]),
            (&[Some(10), Some(11)], Candidates::Behind(0), Limits::Same(10), &[(1, Future)]),
            (&[Some(11), Some(11)], Candidates::Behind(0), Limits::PerRow(vec![11, 10]), &[(1, Future)]),
            (&[Some(10), None], Candidates::Behind(0), Limits::Same(10), &[(1, NoEventTime)]),
            // The watermark counts too: ahead of the event time, or of another column.
            (&[Some(10)], Candidates::Behind(-1), Limits::Same(10), &[(0, Future)]),
            (&[Some(10), Some(10)], Candidates::Known(vec![10, 11]), Limits::Same(10), &[(1, Future)]),
            (&[Some(i64::MIN)], Candidates::Behind(1), Limits::Same(i64::MIN), &[]),
        ];
        for (times, candidates, limits, expected) in cases {
            let faults = timed(times, candidates).faults(&limits);
            let found: Vec<_> = faults.iter().map(|fault| (fault.row, fault.reason)).collect();
            assert_eq!(found, expected, "{times:?} {limits:?}");
        }
    }

    #[test]
    fn bad_rows_neither_move_the_watermark_nor_count_as_data() {
        let mut watermark = SplitWatermark::new(5, Duration::ZERO);
        let all = timed(&[Some(100)], Candidates::Behind(0));
        let faults = all.faults(&Limits::Same(10));
        let batch = all
            .without(&faults)
            .and_then(|timed| timed.advance(&mut watermark, Duration::ZERO, Duration::from_secs(9)));
        assert_eq!(batch.expect("no rows").num_rows(), 0);
        assert_eq!(watermark.value(), 5);
        let update = watermark
            .update_idle(Some(Duration::from_secs(9)), Duration::from_secs(9), Position(0), || Ok(Some(Position(0))));
        update.expect("an end");
        assert_eq!(watermark.time(), SplitTime::Idle(Watermark(5)));
    }

    #[test]
    fn a_limit_does_not_overflow() {
        assert_eq!(limit(i64::MAX - 1, Duration::from_secs(1)), i64::MAX);
        assert_eq!(limit(5, Duration::MAX), i64::MAX);
    }
}
