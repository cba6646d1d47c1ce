//! Limits for one client, and for all of them. Each limit has its message; a person at work reaches none of them.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::{Kind, Refused};

/// Callers whose rate is tracked. With more, callers without a call in the last seconds are forgotten.
const CALLERS_MAX: usize = 10_000;

/// Limits, with defaults that suit one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a script. Default: 256 KiB.
    pub sql_bytes: usize,
    /// Statements of a script. Default: 100.
    pub statements: usize,
    /// Settings of a script. Default: 64.
    pub settings: usize,
    /// Bytes of all settings' names and values. Default: 64 KiB.
    pub settings_bytes: usize,
    /// Pipelines of a tenant that have not been stopped. Default: 1,000.
    pub pipelines_per_tenant: usize,
    /// Names of pipelines of a tenant, stopped ones included: a stopped pipeline keeps its name, so that its next incarnation is known. Default: 10,000.
    pub names_per_tenant: usize,
    /// Bytes of a gRPC message to the coordinator. Default: 1 MiB.
    pub message_bytes: usize,
    /// Calls a second of one caller. Default: 50.
    pub calls_per_second: NonZeroU32,
    /// Calls of one caller at once. Default: 100.
    pub calls_burst: NonZeroU32,
    /// Calls in progress, streams not counted. Default: 256.
    pub calls: usize,
    /// Time for one call that is no stream. Default: 30 s.
    pub call_timeout: Duration,
    /// Watch and Tail calls of one caller. Default: 16.
    pub streams_per_caller: usize,
    /// Tail calls in all: each has a thread. Default: 64.
    pub tails: usize,
    /// Worker sessions. Default: 1,000.
    pub workers: usize,
    /// Messages to a worker that it has not read; the session of a worker that reads too slowly is closed. Default: 4,096.
    pub worker_queue: usize,
    /// Connections to the gRPC port. Default: 2,048.
    pub connections: usize,
    /// A connection on which nothing arrives for so long, answers to pings included, is closed. Default: 30 s.
    pub connection_idle: Duration,
    /// Scripts that are planned at once. Default: 4.
    pub plans: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sql_bytes: 256 * 1024,
            statements: 100,
            settings: 64,
            settings_bytes: 64 * 1024,
            pipelines_per_tenant: 1_000,
            names_per_tenant: 10_000,
            message_bytes: 1024 * 1024,
            calls_per_second: NonZeroU32::new(50).expect("50 is not 0"),
            calls_burst: NonZeroU32::new(100).expect("100 is not 0"),
            calls: 256,
            call_timeout: Duration::from_secs(30),
            streams_per_caller: 16,
            tails: 64,
            workers: 1_000,
            worker_queue: 4_096,
            connections: 2_048,
            connection_idle: Duration::from_secs(30),
            plans: 4,
        }
    }
}

impl Limits {
    /// Checks a script before anything reads it.
    pub fn check_script(&self, sql: &str, settings: &BTreeMap<String, String>) -> Result<(), Refused> {
        if self.sql_bytes < sql.len() {
            return Err(exhausted(format!("the script has {} bytes; {} are allowed", sql.len(), self.sql_bytes))
                .hint("split it into several pipelines"));
        }
        let n_statements = count_statements(sql);
        if self.statements < n_statements {
            return Err(exhausted(format!(
                "the script has {n_statements} statements; {} are allowed",
                self.statements
            ))
            .hint("split it into several pipelines"));
        }
        if self.settings < settings.len() {
            return Err(exhausted(format!("there are {} settings; {} are allowed", settings.len(), self.settings))
                .hint("write options into the script's WITH (…)"));
        }
        let n_bytes: usize = settings.iter().map(|(name, value)| name.len() + value.len()).sum();
        if self.settings_bytes < n_bytes {
            return Err(exhausted(format!("the settings have {n_bytes} bytes; {} are allowed", self.settings_bytes)));
        }
        Ok(())
    }
}

/// Statements that have text, without parsing: `;` counts outside of quotes and comments only.
fn count_statements(sql: &str) -> usize {
    let mut n_statements = 0;
    let mut has_text = false;
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '\'' | '"' => 1 + rest[1..].find(c).map_or(rest.len() - 1, |end| end + 1),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            _ => c.len_utf8(),
        };
        let is_comment = rest.starts_with("--") || rest.starts_with("/*");
        if c == ';' {
            n_statements += usize::from(has_text);
            has_text = false;
        } else if !is_comment && !c.is_whitespace() {
            has_text = true;
        }
        rest = &rest[skipped..];
    }
    n_statements + usize::from(has_text)
}

/// Limits how often each caller calls.
#[derive(Debug)]
pub struct Rates {
    limiter: DefaultKeyedRateLimiter<Arc<str>>,
    quota: (NonZeroU32, NonZeroU32),
}

impl Rates {
    /// For the rate of `limits`.
    pub fn new(limits: &Limits) -> Self {
        let quota = Quota::per_second(limits.calls_per_second).allow_burst(limits.calls_burst);
        Self { limiter: RateLimiter::keyed(quota), quota: (limits.calls_per_second, limits.calls_burst) }
    }

    pub fn check(&self, caller: &Arc<str>) -> Result<(), Refused> {
        if CALLERS_MAX <= self.limiter.len() {
            self.limiter.retain_recent();
        }
        if CALLERS_MAX <= self.limiter.len() {
            return Err(exhausted(format!("more than {CALLERS_MAX} callers at once")).hint("try again later"));
        }
        let (rate, burst) = self.quota;
        self.limiter.check_key(caller).map_err(|_| {
            exhausted(format!("`{caller}` calls too often; {rate} calls a second are allowed, and {burst} at once"))
                .hint("call less often, or wait a second")
        })
    }
}

/// Limits how many streams each caller has open.
#[derive(Clone, Debug)]
pub struct Streams {
    max: usize,
    open: Arc<Mutex<HashMap<Arc<str>, usize>>>,
}

impl Streams {
    /// At most `max` for each caller.
    pub fn new(max: usize) -> Self {
        Self { max, open: Arc::default() }
    }

    /// Counts a stream until the returned value is dropped.
    pub fn open(&self, caller: &Arc<str>) -> Result<OpenStream, Refused> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let n_open = open.entry(Arc::clone(caller)).or_default();
        if self.max <= *n_open {
            return Err(exhausted(format!("`{caller}` has {n_open} streams open; {} are allowed", self.max))
                .hint("end some of them"));
        }
        *n_open += 1;
        Ok(OpenStream { streams: self.clone(), caller: Arc::clone(caller) })
    }
}

/// Counts as an open stream of its caller until it is dropped.
#[derive(Debug)]
pub struct OpenStream {
    streams: Streams,
    caller: Arc<str>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock().unwrap_or_else(PoisonError::into_inner);
        let n_open = open.get_mut(&self.caller).expect("a stream that is open was counted");
        *n_open -= 1;
        if *n_open == 0 {
            open.remove(&self.caller);
        }
    }
}

fn exhausted(message: String) -> Refused {
    Refused::new(Kind::Exhausted, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_counted_outside_of_quotes_and_comments() {
        for (sql, n_statements) in [
            ("", 0),
            (" ; ;\n", 0),
            ("SELECT 1", 1),
            ("SELECT 1;", 1),
            ("SELECT 1; SELECT 2", 2),
            ("SELECT ';'; SELECT \";\"", 2),
            ("SELECT 'it''s; so'; -- a; b\n", 1),
            ("/* a; b */ SELECT 1", 1),
            ("SELECT 'no end; ", 1),
            ("SELECT '", 1),
            ("/* no end; ", 0),
            ("SELECT 'ü;ß'; ß", 2),
            ("SELECT 1 - 2 / 3; SELECT 4", 2),
        ] {
            assert_eq!(count_statements(sql), n_statements, "{sql}");
        }
    }

    #[test]
    fn a_script_is_checked_before_it_is_read() {
        let limits = Limits { sql_bytes: 40, statements: 2, settings: 1, settings_bytes: 8, ..Limits::default() };
        let settings = |n: usize, value: &str| (0..n).map(|i| (format!("s{i}"), value.to_owned())).collect();
        let check = |sql: &str, settings: BTreeMap<String, String>| {
            limits.check_script(sql, &settings).map_err(|refused| refused.message)
        };
        assert_eq!(check("a; b", settings(1, "123456")), Ok(()));
        let cases = [
            (check(&"a".repeat(41), settings(0, "")), "the script has 41 bytes; 40 are allowed"),
            (check("a; b; c", settings(0, "")), "the script has 3 statements; 2 are allowed"),
            (check("a", settings(2, "")), "there are 2 settings; 1 are allowed"),
            (check("a", settings(1, "hunter2hunter2")), "the settings have 16 bytes; 8 are allowed"),
        ];
        for (found, message) in cases {
            assert_eq!(found, Err(message.to_owned()));
        }
    }

    #[test]
    fn a_stream_counts_until_it_is_dropped() {
        let streams = Streams::new(1);
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        let first = streams.open(&ann).expect("the first");
        assert!(streams.open(&bob).is_ok(), "others count for themselves");
        assert_eq!(streams.open(&ann).map(|_| ()).map_err(|refused| refused.kind), Err(Kind::Exhausted));
        drop(first);
        assert!(streams.open(&ann).is_ok());
    }

    #[test]
    fn each_caller_has_a_rate_of_their_own() {
        let one = NonZeroU32::MIN;
        let rates = Rates::new(&Limits { calls_per_second: one, calls_burst: one, ..Limits::default() });
        let (ann, bob): (Arc<str>, Arc<str>) = ("ann".into(), "bob".into());
        assert!(rates.check(&ann).is_ok());
        assert_eq!(rates.check(&ann).map_err(|refused| refused.kind), Err(Kind::Exhausted));
        assert!(rates.check(&bob).is_ok());
    }
}
