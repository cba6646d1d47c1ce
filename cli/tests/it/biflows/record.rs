//! Records as nfdump prints them, and the flows that come out.

use std::cmp::Ordering;

pub(super) const FLAGS: &str = "CEUAPRSF";

/// A record of NetFlow.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) begun_ms: i64,
    pub(super) td_ms: i64,
    /// Who sends, and who receives: address and port.
    pub(super) ends: [(String, u16); 2],
    pub(super) pr: String,
    pub(super) flags: String,
    /// Packets and bytes.
    pub(super) sent: [u64; 2],
    pub(super) back: [u64; 2],
}

/// A row of the pipeline.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flow {
    pub(super) begun: String,
    pub(super) td_ms: i64,
    pub(super) ends: [(String, u16); 2],
    pub(super) pr: String,
    pub(super) flags: String,
    pub(super) sent: [u64; 2],
    pub(super) back: [u64; 2],
    /// `pktips` to `pktipo`.
    pub(super) aggregates: [f64; 8],
}

/// Milliseconds since midnight of the first of May as nfdump's time, with the fraction that its files have.
pub(super) fn moment(ms: i64) -> String {
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    format!("2024-05-01 {hour:02}:{minute:02}:{:02}.{:03}", ms / 1_000 % 60, ms % 1_000)
}

impl Record {
    /// `begun_ms td from:port > to:port packets bytes flags [protocol [packets bytes]]`
    pub(super) fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |at: usize| words.get(at).map_or(0, |word| word.parse().expect("a number"));
        let end = |at: usize| {
            let (address, port) = words[at].split_once(':').expect("address:port");
            (address.to_owned(), port.parse().expect("a port"))
        };
        Self {
            begun_ms: words[0].parse().expect("milliseconds"),
            td_ms: (words[1].parse::<f64>().expect("seconds") * 1_000.0).round() as i64,
            ends: [end(2), end(4)],
            pr: (*words.get(8).unwrap_or(&"TCP")).to_owned(),
            flags: words[7].to_owned(),
            sent: [number(5), number(6)],
            back: [number(9), number(10)],
        }
    }

    /// What a line of nfdump says, except for its times.
    pub(super) fn of_line(line: &str) -> Self {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |at: usize| fields[at].parse().expect("a number");
        let end = |address: usize, port: usize| (fields[address].to_owned(), fields[port].parse().expect("a port"));
        Self {
            begun_ms: 0,
            td_ms: (fields[2].parse::<f64>().expect("seconds") * 1_000.0).round() as i64,
            ends: [end(3, 5), end(4, 6)],
            pr: fields[7].to_owned(),
            flags: fields[8].to_owned(),
            sent: [number(11), number(12)],
            back: [number(13), number(14)],
        }
    }

    /// The 48 columns.
    pub(super) fn line(&self) -> String {
        let [(sa, sp), (da, dp)] = &self.ends;
        let flags: String = FLAGS.chars().map(|flag| if self.flags.contains(flag) { flag } else { '.' }).collect();
        let ([ipkt, ibyt], [opkt, obyt]) = (self.sent, self.back);
        let (ts, te, td) = (moment(self.begun_ms), moment(self.begun_ms + self.td_ms), self.td_ms as f64 / 1_000.0);
        let rest = ["0"; 33].join(",");
        format!("{ts},{te},{td:.3},{sa},{da},{sp},{dp},{},{flags},0,0,{ipkt},{ibyt},{opkt},{obyt},{rest}", self.pr)
    }
}

impl Flow {
    pub(super) fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields.len(), 56, "{line}");
        let number = |at: usize| fields[at].parse::<u64>().unwrap_or_else(|error| panic!("{error}: {line}"));
        let float = |at: usize| fields[at].parse::<f64>().unwrap_or_else(|error| panic!("{error}: {line}"));
        let end = |address: usize, port: usize| (fields[address].to_owned(), number(port) as u16);
        Self {
            begun: fields[0].to_owned(),
            td_ms: (float(2) * 1_000.0).round() as i64,
            ends: [end(3, 5), end(4, 6)],
            pr: fields[7].to_owned(),
            flags: fields[8].to_owned(),
            sent: [number(11), number(12)],
            back: [number(13), number(14)],
            aggregates: std::array::from_fn(|at| float(48 + at)),
        }
    }

    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |flow: &Self| (flow.begun.clone(), flow.ends.clone(), flow.pr.clone(), flow.sent, flow.td_ms);
        key(self).cmp(&key(other))
    }

    /// `begun_ms td from > to packets/bytes packets/bytes flags`, where the first of May began at second 0.
    pub(super) fn short(&self) -> String {
        let [(sa, sp), (da, dp)] = &self.ends;
        let seconds = |at: usize| self.begun[at..at + 2].parse::<i64>().expect("a time");
        let ms: i64 = self.begun[20..].parse().expect("milliseconds");
        let begun_ms = (seconds(11) * 3_600 + seconds(14) * 60 + seconds(17)) * 1_000 + ms;
        let ([ipkt, ibyt], [opkt, obyt]) = (self.sent, self.back);
        let td = self.td_ms as f64 / 1_000.0;
        format!("{begun_ms} {td} {sa}:{sp} > {da}:{dp} {ipkt}/{ibyt} {opkt}/{obyt} {}", self.flags)
    }
}
