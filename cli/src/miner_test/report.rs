//! What a test has found, and whether that is enough.

use std::collections::BTreeMap;
use std::time::Duration;

use super::session::{Conversation, Session};

/// When a conversation first had a verdict, since the first flow was played.
pub(super) type Found = BTreeMap<Conversation, Duration>;

#[derive(Debug, PartialEq)]
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    n_miners: usize,
    n_found: usize,
    n_benign: usize,
    n_false_alarms: usize,
}

/// A miner, or a benign conversation that a verdict names.
#[derive(Debug, PartialEq)]
pub(super) struct Row {
    pub(super) conversation: Conversation,
    pub(super) kind: String,
    pub(super) outcome: &'static str,
    pub(super) after: Option<Duration>,
}

impl Report {
    pub(super) fn new(session: &Session, found: &Found) -> Self {
        let mut report = Self { rows: Vec::new(), n_miners: 0, n_found: 0, n_benign: 0, n_false_alarms: 0 };
        for (conversation, label) in &session.labels {
            let after = found.get(conversation).copied();
            let (n_all, n_with_verdict) = if label.is_miner {
                (&mut report.n_miners, &mut report.n_found)
            } else {
                (&mut report.n_benign, &mut report.n_false_alarms)
            };
            *n_all += 1;
            *n_with_verdict += usize::from(after.is_some());
            let outcome = match (label.is_miner, after) {
                (true, Some(_)) => "found",
                (true, None) => "not found",
                (false, Some(_)) => "false alarm",
                (false, None) => continue,
            };
            report.rows.push(Row { conversation: conversation.clone(), kind: label.kind.clone(), outcome, after });
        }
        report
    }

    pub(super) fn has_found_all(&self) -> bool {
        self.n_found == self.n_miners
    }

    /// Why the test has failed.
    pub(super) fn failure(&self, min_found: f64) -> Option<String> {
        if 0 < self.n_false_alarms {
            return Some(format!("{} benign conversations have verdicts", self.n_false_alarms));
        }
        let share = self.n_found as f64 / self.n_miners.max(1) as f64;
        (share < min_found).then(|| format!("{} of {} miners were found", self.n_found, self.n_miners))
    }

    pub(super) fn summary(&self) -> String {
        let Self { n_miners, n_found, n_benign, n_false_alarms, .. } = self;
        format!(
            "{n_found} of {n_miners} miners found, {n_false_alarms} of {n_benign} benign conversations with verdicts"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn miners_are_found_or_not_and_benign_conversations_are_false_alarms() {
        let labels =
            "header\na,s,3333,tcp,miner,xmrig\nb,s,443,tcp,miner,xmrig\nc,s,443,tcp,benign,web\nd,s,53,udp,benign,dns";
        let flow = format!("2026-11-21 06:30:33,2026-11-21 06:31:00,27.000,{}2026-11-21 06:31:30", "x,".repeat(44));
        let session = Session::parse(&flow, labels).expect("a session");
        let one = |client: &str, port| Conversation { client: client.to_owned(), server: "s".to_owned(), port };
        let after = Duration::from_secs(9);
        type Verdicts = &'static [(&'static str, u16)];
        let cases: [(Verdicts, &str, Option<&str>); 4] = [
            (&[("a", 3333)], "1 of 2 miners found, 0 of 2 benign conversations with verdicts", None),
            (&[], "0 of 2 miners found, 0 of 2 benign conversations with verdicts", Some("0 of 2 miners were found")),
            (
                &[("a", 3333), ("b", 443), ("c", 443)],
                "2 of 2 miners found, 1 of 2 benign conversations with verdicts",
                Some("1 benign conversations have verdicts"),
            ),
            // Of others than the session's: the pipeline may read more than the test.
            (&[("a", 3333), ("z", 1)], "1 of 2 miners found, 0 of 2 benign conversations with verdicts", None),
        ];
        for (found, summary, failure) in cases {
            let found: Found = found.iter().map(|(client, port)| (one(client, *port), after)).collect();
            let report = Report::new(&session, &found);
            assert_eq!((report.summary().as_str(), report.failure(0.5).as_deref()), (summary, failure));
        }
    }
}
