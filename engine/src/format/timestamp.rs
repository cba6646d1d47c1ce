//! Timestamps and dates, as text and back.
//!
//! Text is `YYYY-MM-DD HH:MM[:SS[.fraction]]` with a blank or `T`, and optionally `Z` or an offset; no offset means UTC, since
//! a collector's time zone cannot be known here. An integer is an epoch whose unit follows from its size; with a fraction it is in
//! seconds. Day arithmetic:
//! Howard Hinnant, "chrono-compatible low-level date algorithms".

use arrow::datatypes::TimeUnit;

use super::number::{self, Span};

/// A point in time: seconds since 1970 and nanoseconds within the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instant {
    seconds: i64,
    nanos: u32,
}

/// Reads timestamps; remembers the last date, since neighbours share it.
#[derive(Clone, Debug)]
pub(super) struct TimestampReader {
    date: [u8; 10],
    day_seconds: i64,
}

/// Remembers a true date from the start: of no date there is no text.
impl Default for TimestampReader {
    fn default() -> Self {
        Self { date: *b"1970-01-01", day_seconds: 0 }
    }
}

impl TimestampReader {
    /// Reads text or an integer epoch as a number of `unit`s; `None` when it is neither or does not fit.
    #[inline]
    pub(super) fn read(&mut self, span: Span<'_>, unit: TimeUnit) -> Option<i64> {
        self.instant(span)?.to_unit(unit)
    }

    #[inline]
    fn instant(&mut self, span: Span<'_>) -> Option<Instant> {
        let text = span.bytes();
        let Some((date, rest)) = text.split_first_chunk::<10>() else { return epoch_text(span) };
        if *date != self.date {
            let Some(days) = date_days(date) else { return epoch_text(span) };
            self.day_seconds = days * 86_400;
            self.date = *date;
        }
        let (time_seconds, nanos) = time_of_day(rest)?;
        Some(Instant { seconds: self.day_seconds + time_seconds, nanos })
    }
}

/// Reads an integer epoch, or one in seconds with a fraction.
fn epoch_text(span: Span<'_>) -> Option<Instant> {
    let text = span.bytes();
    let Some(point) = memchr::memchr(b'.', text) else { return epoch(number::signed(span)?) };
    let whole = number::signed(Span { end: span.start + point, ..span })?;
    let (nanos, []) = fraction(&text[point + 1..])? else { return None };
    if EPOCH_SECONDS_MAX <= whole.unsigned_abs() {
        return None;
    }
    Some(match (text[0], nanos) {
        (b'-', 1..) => Instant { seconds: whole - 1, nanos: 1_000_000_000 - nanos },
        _ => Instant { seconds: whole, nanos },
    })
}

/// Integer epochs from here on are not in seconds.
const EPOCH_SECONDS_MAX: u64 = 100_000_000_000;

/// An epoch in seconds, milliseconds, microseconds or nanoseconds: the ranges do not meet between 1973 and 5138.
fn epoch(number: i64) -> Option<Instant> {
    let per_second: i64 = match number.unsigned_abs() {
        0..EPOCH_SECONDS_MAX => 1,
        EPOCH_SECONDS_MAX..100_000_000_000_000 => 1_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
        _ => 1_000_000_000,
    };
    let nanos = number.rem_euclid(per_second) * (1_000_000_000 / per_second);
    Some(Instant { seconds: number.div_euclid(per_second), nanos: u32::try_from(nanos).ok()? })
}

/// An integer epoch of any unit as a number of `unit`s.
pub(super) fn from_epoch(number: i64, unit: TimeUnit) -> Option<i64> {
    epoch(number)?.to_unit(unit)
}

/// Microseconds since 1970 as a number of `unit`s.
pub(super) fn from_micros(micros: i64, unit: TimeUnit) -> Option<i64> {
    Instant::from_unit(micros, TimeUnit::Microsecond).to_unit(unit)
}

impl Instant {
    #[inline]
    fn to_unit(self, unit: TimeUnit) -> Option<i64> {
        let nanos = i64::from(self.nanos);
        match unit {
            TimeUnit::Second => Some(self.seconds),
            TimeUnit::Millisecond => self.seconds.checked_mul(1_000)?.checked_add(nanos / 1_000_000),
            TimeUnit::Microsecond => self.seconds.checked_mul(1_000_000)?.checked_add(nanos / 1_000),
            TimeUnit::Nanosecond => match self.seconds.checked_mul(1_000_000_000) {
                Some(whole) => whole.checked_add(nanos),
                None => self.first_nanos(),
            },
        }
    }

    /// Within the first second that nanoseconds can hold: the second does not begin in them.
    #[cold]
    fn first_nanos(self) -> Option<i64> {
        i64::try_from(i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos)).ok()
    }

    fn from_unit(value: i64, unit: TimeUnit) -> Self {
        let per_second: i64 = match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let nanos = value.rem_euclid(per_second) * (1_000_000_000 / per_second);
        Self { seconds: value.div_euclid(per_second), nanos: nanos as u32 }
    }
}

/// Reads `YYYY-MM-DD` as days since 1970.
pub(super) fn date(text: &[u8]) -> Option<i32> {
    date_days(text.try_into().ok()?).and_then(|days| i32::try_from(days).ok())
}

fn date_days(text: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = *text else { return None };
    let year = two_digits(y1, y2)? * 100 + two_digits(y3, y4)?;
    let (month, day) = (two_digits(m1, m2)?, two_digits(d1, d2)?);
    let is_valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    is_valid.then(|| days_from_civil(year, month, day))
}

#[inline]
pub(super) fn two_digits(tens: u8, ones: u8) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| i64::from(tens * 10 + ones))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// What follows the date: nothing, or ` HH:MM[:SS[.fraction]][zone]`; as (seconds, nanoseconds), the offset taken off.
#[inline]
fn time_of_day(text: &[u8]) -> Option<(i64, u32)> {
    // The usual shape first: nothing but ` HH:MM:SS`.
    if let [b' ' | b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *text {
        return Some((clock(two_digits(h1, h2)?, two_digits(m1, m2)?, two_digits(s1, s2)?)?, 0));
    }
    longer_time_of_day(text)
}

#[inline(never)]
fn longer_time_of_day(text: &[u8]) -> Option<(i64, u32)> {
    let (hour, minute, rest) = match text {
        [] => return Some((0, 0)),
        [b' ' | b'T' | b't', h1, h2, b':', m1, m2, rest @ ..] => (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?, rest),
        _ => return None,
    };
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two_digits(*s1, *s2)?, rest),
        _ => (0, rest),
    };
    let (nanos, zone) = match rest {
        [b'.' | b',', rest @ ..] => fraction(rest)?,
        _ => (0, rest),
    };
    Some((clock(hour, minute, second)? - offset_seconds(zone)?, nanos))
}

pub(super) fn clock(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3_600 + minute * 60 + second)
}

/// One to nine digits as nanoseconds, and what follows.
pub(super) fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let length = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let (digits, rest) = text.split_at(length);
    let value = digits.iter().fold(0, |value, digit| value * 10 + u32::from(digit - b'0'));
    Some((value * 10u32.pow(9 - length as u32), rest))
}

/// `Z`, `±HH`, `±HHMM`, `±HH:MM` or nothing, in seconds east of UTC; a blank may be before it.
fn offset_seconds(zone: &[u8]) -> Option<i64> {
    let (sign, hour, minute) = match zone.trim_ascii_start() {
        [] | b"Z" | b"z" | b"UTC" => return Some(0),
        [sign @ (b'+' | b'-'), h1, h2] => (*sign, two_digits(*h1, *h2)?, 0),
        [sign @ (b'+' | b'-'), h1, h2, m1, m2] | [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            (*sign, two_digits(*h1, *h2)?, two_digits(*m1, *m2)?)
        }
        _ => return None,
    };
    let seconds = clock(hour, minute, 0)?;
    Some(if sign == b'-' { -seconds } else { seconds })
}

/// Writes `YYYY-MM-DD`.
pub(super) fn write_date(days: i32, out: &mut Vec<u8>) {
    write_days(i64::from(days), out);
}

fn write_days(days: i64, out: &mut Vec<u8>) {
    let (year, month, day) = civil_from_days(days);
    if (0..=9999).contains(&year) {
        write_two(year / 100, out);
        write_two(year % 100, out);
    } else {
        // ISO 8601's expanded form.
        out.push(if year < 0 { b'-' } else { b'+' });
        out.extend_from_slice(format!("{:06}", year.abs()).as_bytes());
    }
    out.push(b'-');
    write_two(month, out);
    out.push(b'-');
    write_two(day, out);
}

/// Writes date, `separator`, time, and the fraction in threes as far as it is not zero.
pub(super) fn write_timestamp(value: i64, unit: TimeUnit, separator: u8, out: &mut Vec<u8>) {
    let Instant { seconds, nanos } = Instant::from_unit(value, unit);
    write_days(seconds.div_euclid(86_400), out);
    out.push(separator);
    write_clock(seconds.rem_euclid(86_400), nanos, out);
}

/// Writes the time of a second of the day, and the fraction likewise.
pub(super) fn write_clock(second_of_day: i64, nanos: u32, out: &mut Vec<u8>) {
    write_two(second_of_day / 3_600, out);
    out.push(b':');
    write_two(second_of_day / 60 % 60, out);
    out.push(b':');
    write_two(second_of_day % 60, out);
    if nanos != 0 {
        write_fraction(nanos, out);
    }
}

fn write_two(number: i64, out: &mut Vec<u8>) {
    out.extend([b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
}

fn write_fraction(nanos: u32, out: &mut Vec<u8>) {
    let digits = format!("{nanos:09}");
    let shown = match nanos {
        _ if nanos.is_multiple_of(1_000_000) => 3,
        _ if nanos.is_multiple_of(1_000) => 6,
        _ => 9,
    };
    out.push(b'.');
    out.extend_from_slice(&digits.as_bytes()[..shown]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<i64> {
        TimestampReader::default().read(Span::of(text.as_bytes()), TimeUnit::Nanosecond)
    }

    fn written(value: i64, unit: TimeUnit) -> String {
        let mut out = Vec::new();
        write_timestamp(value, unit, b' ', &mut out);
        String::from_utf8(out).expect("ascii")
    }

    #[test]
    fn what_is_no_timestamp_is_none() {
        let cases = [
            "",
            " ",
            "6/3/23 12:29",
            "2023-02-30 00:00:00",
            "2023-13-01 00:00:00",
            "2023-01-01 24:00:00",
            "2023-01-01 00:60:00",
            "2023-01-01 00:00:60",
            "2023-01-01 00:00:00.",
            "2023-01-01 00:00:00.1234567890",
            "2023-01-01 00:00:00 x",
            "2023-01-01x00:00:00",
            "2023-01-01 0:00:00",
            "2023-1-1 00:00:00",
            "tomorrow",
            "2023-01-01 00:00:00+2",
            "2023-01-01 00:00:00+25:00",
            "9999-01-01 00:00:00",
            "\0\0\0\0\0\0\0\0\0\0",
            "12.",
            ".5",
            "-.5",
            "12.5.1",
            "12.5 ",
            "100000000000.5",
            "12.0123456789",
            "0000-00-00 00:00:00",
        ];
        for text in cases {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn text_and_epochs_name_the_same_instant() {
        let expected = Some(1_693_464_644_123_000_000);
        let cases = [
            "2023-08-31 06:50:44.123",
            "2023-08-31T06:50:44.123Z",
            "2023-08-31T08:50:44.123+02:00",
            "2023-08-31 01:20:44.123-0530",
            "2023-08-31 08:50:44,123 +02",
            "1693464644123",
            "1693464644123000",
            "1693464644123000000",
            "2023-08-31 06:50:44.123000000",
        ];
        for text in cases {
            assert_eq!(read(text), expected, "{text}");
        }
        assert_eq!(read("1693464644"), Some(1_693_464_644_000_000_000));
        assert_eq!(read("2023-02-19 12:31"), Some(1_676_809_860_000_000_000));
        assert_eq!(read("1970-01-01"), Some(0));
        assert_eq!(read("-1"), Some(-1_000_000_000));
        assert_eq!(read("1687492697.088"), Some(1_687_492_697_088_000_000));
        assert_eq!(read("1664491696.000000"), Some(1_664_491_696_000_000_000));
        assert_eq!(read("12.5"), Some(12_500_000_000));
        assert_eq!(read("-12.5"), Some(-12_500_000_000));
        assert_eq!(read("-0.25"), Some(-250_000_000));
    }

    #[test]
    fn the_remembered_date_is_not_mistaken_for_another() {
        let mut reader = TimestampReader::default();
        for (text, expected) in [
            ("1970-01-02 00:00:01", Some(86_401)),
            ("1970-01-03 00:00:01", Some(172_801)),
            ("1970-01-0x 00:00:01", None),
        ] {
            assert_eq!(reader.read(Span::of(text.as_bytes()), TimeUnit::Second), expected, "{text}");
        }
    }

    #[test]
    fn fractions_are_written_in_threes() {
        let cases = [
            (0, "1970-01-01 00:00:00"),
            (1, "1970-01-01 00:00:00.000000001"),
            (120_000_000, "1970-01-01 00:00:00.120"),
            (-1_000, "1969-12-31 23:59:59.999999"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(written(nanos, TimeUnit::Nanosecond), expected);
        }
        assert_eq!(written(i64::MIN, TimeUnit::Second), "-292277022657-01-27 08:29:52");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos: i64) {
            prop_assert_eq!(read(&written(nanos, TimeUnit::Nanosecond)), Some(nanos));
        }
    }
}
