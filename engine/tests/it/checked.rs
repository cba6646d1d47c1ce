//! Arithmetic at the ends of its types, against an oracle in 128 bits: what does not fit is null under `on_error = 'null'`, never a
//! wrapped number.

use std::collections::BTreeMap;

use davy_engine::log::SplitId;

use crate::support::{Event, World, run};

/// The rows of `SELECT query` over a table with these columns and lines, with null for what fails.
fn rows(columns: &str, lines: &[String], query: &str) -> Vec<String> {
    let events = lines.iter().map(|line| Event::Record(SplitId::from("0"), line.clone())).collect();
    let world = World { records_per_poll: 64, ..World::new(BTreeMap::from([("t".to_owned(), events)])) };
    let script = format!(
        "CREATE TABLE t ({columns}) WITH (connector = 'test', format = 'csv', on_error = 'null'); SELECT {query} FROM t;"
    );
    let pipeline = world.plan(&script).unwrap_or_else(|error| panic!("{script}\n{error}"));
    run(&world, pipeline).unwrap_or_else(|error| panic!("{script}\n{error}")).rows.remove("results").unwrap_or_default()
}

fn shown(value: Option<i128>) -> String {
    value.map_or_else(|| "∅".to_owned(), |value| value.to_string())
}

struct Integer {
    name: &'static str,
    min: i128,
    max: i128,
}

const fn integer(name: &'static str, min: i128, max: i128) -> Integer {
    Integer { name, min, max }
}

const INTEGERS: [Integer; 8] = [
    integer("TINYINT", i8::MIN as i128, i8::MAX as i128),
    integer("SMALLINT", i16::MIN as i128, i16::MAX as i128),
    integer("INTEGER", i32::MIN as i128, i32::MAX as i128),
    integer("BIGINT", i64::MIN as i128, i64::MAX as i128),
    integer("TINYINT UNSIGNED", 0, u8::MAX as i128),
    integer("SMALLINT UNSIGNED", 0, u16::MAX as i128),
    integer("INTEGER UNSIGNED", 0, u32::MAX as i128),
    integer("BIGINT UNSIGNED", 0, u64::MAX as i128),
];

impl Integer {
    /// The ends of the type, their square root, and what is around zero.
    fn edges(&self) -> Vec<i128> {
        let root = self.max.isqrt();
        let mut edges =
            vec![self.min, self.min + 1, -2, -1, 0, 1, 2, root, root + 1, self.max / 2 + 1, self.max - 1, self.max];
        edges.retain(|value| self.holds(*value));
        edges.dedup();
        edges
    }

    fn holds(&self, value: i128) -> bool {
        (self.min..=self.max).contains(&value)
    }
}

#[test]
fn integers_fit_or_are_null() {
    for integer in &INTEGERS {
        let is_signed = integer.min < 0;
        let edges = integer.edges();
        let pairs: Vec<(i128, i128)> = edges.iter().flat_map(|a| edges.iter().map(move |b| (*a, *b))).collect();
        let lines: Vec<String> = pairs.iter().map(|(a, b)| format!("{a},{b}")).collect();
        let columns = format!("a {0}, b {0}", integer.name);
        let signed = if is_signed { ", -a, abs(a)" } else { "" };
        let found = rows(&columns, &lines, &format!("a, b, a + b, a - b, a * b, a / b, a % b{signed}"));
        let fits = |value: Option<i128>| shown(value.filter(|value| integer.holds(*value)));
        let mut wanted: Vec<String> = pairs
            .iter()
            .map(|&(a, b)| {
                let mut cells = vec![Some(a), Some(b), Some(a + b), Some(a - b), a.checked_mul(b)];
                cells.extend([a.checked_div(b), a.checked_rem(b)]);
                cells.extend(if is_signed { vec![Some(-a), Some(a.abs())] } else { vec![] });
                cells.into_iter().map(fits).collect::<Vec<_>>().join(" | ")
            })
            .collect();
        wanted.sort();
        assert_eq!(found, wanted, "{}", integer.name);
    }
}

#[test]
fn decimals_have_at_most_38_digits_or_are_null() {
    const MOST: i128 = 10_i128.pow(38) - 1;
    let edges = [-MOST, -MOST / 2 - 1, -(10_i128.pow(19)), -1, 0, 1, 10_i128.pow(19), MOST / 2 + 1, MOST - 1, MOST];
    let pairs: Vec<(i128, i128)> = edges.iter().flat_map(|a| edges.iter().map(move |b| (*a, *b))).collect();
    let lines: Vec<String> = pairs.iter().map(|(a, b)| format!("{a},{b}")).collect();
    let columns = "x TEXT, y TEXT, a DECIMAL(38, 0) GENERATED ALWAYS AS (CAST(x AS DECIMAL(38, 0))), \
                   b DECIMAL(38, 0) GENERATED ALWAYS AS (CAST(y AS DECIMAL(38, 0)))";
    let found = rows(columns, &lines, "a, b, a + b, a - b, a * b, a % b, -a, abs(a)");
    let fits = |value: Option<i128>| shown(value.filter(|value| value.abs() <= MOST));
    let mut wanted: Vec<String> = pairs
        .iter()
        .map(|&(a, b)| {
            let cells = [Some(a), Some(b), a.checked_add(b), a.checked_sub(b), a.checked_mul(b), a.checked_rem(b)];
            let signs = [Some(-a), Some(a.abs())];
            cells.into_iter().chain(signs).map(fits).collect::<Vec<_>>().join(" | ")
        })
        .collect();
    wanted.sort();
    assert_eq!(found, wanted);
}

/// Expressions of one row each: what they give, or ∅.
fn check(columns: &str, line: &str, cases: &[(&str, &str)]) {
    let row = |expression: &str| rows(columns, &[line.to_owned()], expression).join("; ");
    let found: Vec<(&str, String)> = cases.iter().map(|(expression, _)| (*expression, row(expression))).collect();
    let wanted: Vec<(&str, String)> =
        cases.iter().map(|(expression, wanted)| (*expression, (*wanted).to_owned())).collect();
    assert_eq!(found, wanted);
}

#[test]
fn constants_are_checked_as_columns_are() {
    check(
        "v BIGINT",
        "1",
        &[
            ("9223372036854775807 + 1", "∅"),
            ("9223372036854775807 + 0", "9223372036854775807"),
            ("-9223372036854775808 - 1", "∅"),
            ("-(-9223372036854775808)", "∅"),
            ("3037000500 * 3037000500", "∅"),
            ("CASE WHEN v = 1 THEN 7 ELSE 9223372036854775807 + v END", "7"),
            ("coalesce(9223372036854775807 + v, -1)", "-1"),
        ],
    );
}

#[test]
fn casts_fit_or_are_null() {
    check(
        "v BIGINT, d DOUBLE, x TEXT",
        "3000000000,1e30,99999999999999999999",
        &[
            ("CAST(v AS INT)", "∅"),
            ("CAST(v AS SMALLINT)", "∅"),
            ("CAST(-v AS BIGINT UNSIGNED)", "∅"),
            ("CAST(d AS BIGINT)", "∅"),
            ("CAST(d AS FLOAT)", "1e30"),
            ("CAST(x AS BIGINT)", "∅"),
            ("CAST(CAST(x AS DECIMAL(20, 0)) AS BIGINT)", "∅"),
            ("CAST(v AS DECIMAL(9, 0))", "∅"),
            ("to_timestamp(9223372036854775807)", "∅"),
            ("to_timestamp(d)", "∅"),
            ("to_timestamp(CAST('NaN' AS DOUBLE) * d)", "∅"),
            ("to_timestamp(d / 1e29)", "1970-01-01T00:00:10"),
            ("CAST(to_timestamp_seconds(9223372036) AS TIMESTAMP)", "2262-04-11T23:47:16"),
            ("CAST(to_timestamp_seconds(v * 4) AS TIMESTAMP)", "∅"),
            ("CAST(CAST('2262-04-' || CAST(v / 250000000 AS TEXT) AS DATE) AS TIMESTAMP)", "∅"),
            ("CAST('2262-04-' || CAST(v / 250000000 AS TEXT) AS TIMESTAMP)", "∅"),
        ],
    );
}

#[test]
fn times_fit_or_are_null() {
    check(
        "lo TIMESTAMP, hi TIMESTAMP, v BIGINT",
        "1677-09-21 00:12:43.145224193,2262-04-11 23:47:16.854775807,9223372036854775807",
        &[
            ("hi + INTERVAL '1 nanosecond'", "∅"),
            ("hi + INTERVAL '1 day'", "∅"),
            ("hi + INTERVAL '1 month'", "∅"),
            ("hi + INTERVAL '300 years'", "∅"),
            ("lo - INTERVAL '1 second'", "∅"),
            ("lo - INTERVAL '1 month'", "∅"),
            ("hi - lo", "∅"),
            ("lo - hi", "∅"),
            ("hi - hi", "P0D"),
            ("date_trunc('second', lo)", "∅"),
            ("date_trunc('hour', lo)", "∅"),
            ("date_trunc('day', lo)", "∅"),
            ("date_trunc('week', lo)", "∅"),
            ("date_trunc('month', lo)", "∅"),
            ("date_trunc('year', lo)", "∅"),
            ("date_trunc('year', hi)", "2262-01-01T00:00:00"),
            ("date_bin(INTERVAL '1 hour', lo)", "∅"),
            ("CAST(hi AS DATE) + INTERVAL '2147483647 days'", "∅"),
            ("CAST(hi AS DATE) + INTERVAL '2147483647 months'", "∅"),
            ("CAST(v / 1000000000 AS INT) - CAST(-v / 1000000000 AS INT)", "∅"),
            ("INTERVAL '2147483647 days' + INTERVAL '1 day'", "∅"),
            ("INTERVAL '2147483647 months' + INTERVAL '1 month'", "∅"),
        ],
    );
}

#[test]
fn other_functions_fit_or_are_null() {
    check(
        "v BIGINT, n BIGINT",
        "9223372036854775807,-9223372036854775808",
        &[
            ("factorial(21)", "∅"),
            ("lcm(v, 2)", "∅"),
            ("gcd(n, n)", "∅"),
            ("gcd(n, 0)", "∅"),
            ("abs(n)", "∅"),
            ("signum(n)", "-1.0"),
        ],
    );
}

#[test]
fn quotients_of_decimals_have_no_digit_too_many() {
    let lines: Vec<String> = (18..37).map(|n_zeros| format!("12{},0.1", "0".repeat(n_zeros))).collect();
    let found = rows("a DECIMAL(38, 0), b DECIMAL(1, 1)", &lines, "a / b");
    let n_digits = |row: &String| row.chars().filter(char::is_ascii_digit).count();
    assert!(found.iter().all(|row| row == "∅" || n_digits(row) <= 38), "{found:#?}");
    let n_null = found.iter().filter(|row| *row == "∅").count();
    assert!(0 < n_null && n_null < found.len(), "some fit and some do not: {found:#?}");
}

#[test]
fn durations_fit_or_are_null() {
    // The days from 1970 to 2200 are three quarters of what a duration holds.
    let lines = ["2200-01-01,1970-01-01", "1970-01-02,1970-01-01"].map(str::to_owned);
    let query = "CAST((a - b) + (a - b) AS BIGINT), CAST((b - a) - (a - b) AS BIGINT)";
    let mut found = rows("a TIMESTAMP, b TIMESTAMP", &lines, query);
    found.sort();
    assert_eq!(found, ["172800000000000 | -172800000000000", "∅ | ∅"]);
}

#[test]
fn decimals_of_256_bits_have_at_most_76_digits_or_are_null() {
    let lines = [format!("9{}", "0".repeat(37)), "3".to_owned()];
    let mut found = rows("a DECIMAL(38, 0)", &lines, "CAST(a AS DECIMAL(76, 0)) * a * 7");
    found.sort();
    assert_eq!(found, ["63", "∅"], "5.67e76 is less than 2^255");
}

#[test]
fn seconds_at_the_ends_of_nanoseconds_are_null() {
    let lines = ["9223372036.854775808", "-9223372036.854775808", "1"].map(str::to_owned);
    let mut found = rows("x DOUBLE", &lines, "CAST(to_timestamp(x) AS BIGINT)");
    found.sort();
    assert_eq!(found, ["1000000000", "∅", "∅"]);
}
