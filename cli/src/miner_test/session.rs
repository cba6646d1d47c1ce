//! A recorded session and its labels: which flows are played when, and which conversations are miners.

use std::collections::BTreeMap;

use davy_engine::time::{format_ns, parse_timestamp};
use davy_engine::{Error, Result};

const NS_PER_S: i64 = 1_000_000_000;
/// Columns of nfdump's CSV: the flow's begin and end, and when the collector received it.
const TS: usize = 0;
const TE: usize = 1;
const TR: usize = 47;

/// A client that speaks to a server's port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Conversation {
    pub(super) client: String,
    pub(super) server: String,
    pub(super) port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) is_miner: bool,
    pub(super) kind: String,
}

/// A record as the collector wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    line: String,
    /// Begin, end, reception; ns since 1970.
    begun: i64,
    ended: i64,
    pub(super) received: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Session {
    /// In the order in which the collector received them; at least one.
    pub(super) records: Vec<Record>,
    pub(super) labels: BTreeMap<Conversation, Label>,
}

impl Session {
    pub(super) fn parse(flows: &str, labels: &str) -> Result<Self> {
        // Header and summary are no records.
        let records = flows.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()) && line.contains(':'));
        let mut records = records.map(Record::parse).collect::<Result<Vec<_>>>()?;
        if records.is_empty() {
            return Err(Error::invalid("the session has no flows").hint("it should be nfdump's CSV with 48 columns"));
        }
        records.sort_by_key(|record| record.received);
        let labels: BTreeMap<Conversation, Label> = labels.lines().skip(1).map(label).collect::<Result<_>>()?;
        if !labels.values().any(|label| label.is_miner) {
            return Err(Error::invalid("the labels name no miner").hint("the column `label` of one should be `miner`"));
        }
        Ok(Self { records, labels })
    }

    /// When the last record was received.
    pub(super) fn end(&self) -> i64 {
        self.records.last().map_or(0, |record| record.received)
    }
}

impl Record {
    fn parse(line: &str) -> Result<Self> {
        let fields: Vec<&str> = line.split(',').collect();
        let time = |at: usize| fields.get(at).and_then(|text| parse_timestamp(text));
        let (Some(begun), Some(ended), Some(received)) = (time(TS), time(TE), time(TR)) else {
            return Err(Error::invalid(format!("`{line}` is no flow with its times"))
                .hint("columns 1, 2 and 48 should be the flow's begin, its end, and when it was received"));
        };
        Ok(Self { line: line.to_owned(), begun, ended, received })
    }

    /// The record with all its times later by so many nanoseconds.
    pub(super) fn shifted(&self, by: i64) -> String {
        let fields = self.line.split(',').enumerate().map(|(at, field)| match at {
            TS => whole_seconds(self.begun + by),
            TE => whole_seconds(self.ended + by),
            TR => format_ns(self.received + by).replace('T', " "),
            _ => field.to_owned(),
        });
        fields.collect::<Vec<_>>().join(",")
    }

    /// When the shifted flow has ended, in milliseconds since 1970.
    pub(super) fn ended_ms(&self, by: i64) -> i64 {
        (self.ended + by).div_euclid(1_000_000)
    }
}

fn whole_seconds(ns: i64) -> String {
    format_ns(ns - ns.rem_euclid(NS_PER_S)).replace('T', " ")
}

fn label(line: &str) -> Result<(Conversation, Label)> {
    let fields: Vec<&str> = line.split(',').collect();
    let [client, server, port, _protocol, label, kind] = fields.as_slice() else {
        return Err(Error::invalid(format!("label `{line}` has {} columns", fields.len()))
            .hint("it should be client,server,server_port,protocol,label,kind"));
    };
    let Ok(port) = port.parse() else {
        return Err(Error::invalid(format!("label `{line}`: `{port}` is no port")));
    };
    let conversation = Conversation { client: (*client).to_owned(), server: (*server).to_owned(), port };
    Ok((conversation, Label { is_miner: *label == "miner", kind: (*kind).to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(received: &str) -> String {
        format!("2026-11-21 06:30:33,2026-11-21 06:31:00,27.000,{}{received}", "x,".repeat(44))
    }

    #[test]
    fn times_move_together_and_other_columns_stay() {
        let flows =
            format!("ts,te\n{}\n{}\nSummary\n", record("2026-11-21 06:31:36.250"), record("2026-11-21 06:31:30.000"));
        let labels = "client,server,server_port,protocol,label,kind\na,b,3333,tcp,miner,xmrig\n";
        let session = Session::parse(&flows, labels).expect("a session");
        assert_eq!(session.records.len(), 2);
        assert!(session.records[0].received < session.records[1].received, "in the order of reception");
        let by = 3_600 * NS_PER_S + 500_000_000;
        let shifted = session.records[1].shifted(by);
        let expected =
            record("2026-11-21 07:31:36.750").replace("06:30:33", "07:30:33").replace("06:31:00", "07:31:00");
        assert_eq!(shifted, expected);
        assert_eq!(session.records[1].ended_ms(by), 1_795_246_260_500);
    }

    #[test]
    fn what_is_no_session_is_refused() {
        let (flows, header) = (record("2026-11-21 06:31:36"), "header\n");
        for (flows, labels, expected) in [
            ("ts,te\n", "header\na,b,1,tcp,miner,x", "the session has no flows"),
            ("2026-11-21 06:30:33,never", "header\na,b,1,tcp,miner,x", "is no flow with its times"),
            (&flows, header, "the labels name no miner"),
            (&flows, "header\na,b,1,tcp,benign,x", "the labels name no miner"),
            (&flows, "header\na,b,1,tcp,miner", "has 5 columns"),
            (&flows, "header\na,b,http,tcp,miner,x", "`http` is no port"),
        ] {
            let error = Session::parse(flows, labels).expect_err(expected).to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
