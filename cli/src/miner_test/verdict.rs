//! Verdicts of a pipeline: which conversations a message names.

use serde_json::Value;

use super::session::Conversation;

/// Columns of a record of `davy cds`.
const ADDRESSES_AND_PORTS: [usize; 4] = [3, 4, 5, 6];

/// The conversations that a message may be about: one, or both directions where the message does not say which side is the server. Empty
/// for messages that are no verdict.
pub(super) fn conversations(message: &[u8], threshold: f64) -> Vec<Conversation> {
    let Ok(text) = std::str::from_utf8(message) else { return Vec::new() };
    text.lines()
        .flat_map(|line| if line.starts_with('{') { of_json(line) } else { of_record(line, threshold) })
        .collect()
}

fn of_json(line: &str) -> Vec<Conversation> {
    let Ok(row) = serde_json::from_str::<Value>(line) else { return Vec::new() };
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let port = row.get("port").and_then(Value::as_u64).and_then(|port| u16::try_from(port).ok());
    match (text("client"), text("server"), port) {
        (Some(client), Some(server), Some(port)) => vec![Conversation { client, server, port }],
        _ => Vec::new(),
    }
}

fn of_record(line: &str, threshold: f64) -> Vec<Conversation> {
    let fields: Vec<&str> = line.split(',').collect();
    let [Some(sa), Some(da), Some(sp), Some(dp)] = ADDRESSES_AND_PORTS.map(|at| fields.get(at)) else {
        return Vec::new();
    };
    let confidence = fields.last().and_then(|text| text.parse::<f64>().ok());
    let is_verdict = fields.iter().rev().nth(2) == Some(&"Crypto");
    if !is_verdict || !confidence.is_some_and(|confidence| threshold <= confidence) {
        return Vec::new();
    }
    let between = |client: &str, server: &str, port: &str| {
        Some(Conversation { client: client.to_owned(), server: server.to_owned(), port: port.parse().ok()? })
    };
    [between(da, sa, sp), between(sa, da, dp)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_conversations_or_none() {
        let record =
            |confidence: &str| format!("ts,te,td,10.0.0.1,10.0.0.2,40000,3333,TCP,x,Crypto,Malware,{confidence}");
        let cases = [
            (r#"{"client": "a", "server": "b", "port": 3333, "score": 0.9}"#.to_owned(), "a>b:3333"),
            ("{\"client\": \"a\", \"server\": \"b\", \"port\": 1}\n{\"client\": \"c\", \"server\": \"d\", \"port\": 2}".to_owned(), "a>b:1 c>d:2"),
            (r#"{"client": "a", "server": "b", "port": 70000}"#.to_owned(), ""),
            (r#"{"client": "a", "server": "b"}"#.to_owned(), ""),
            ("{\"client\": ".to_owned(), ""),
            (record("0.9"), "10.0.0.2>10.0.0.1:40000 10.0.0.1>10.0.0.2:3333"),
            (record("0.5"), ""),
            (record("nan"), ""),
            ("a,b,c".to_owned(), ""),
            (String::new(), ""),
        ];
        for (message, expected) in cases {
            let shown: Vec<String> = conversations(message.as_bytes(), 0.8)
                .iter()
                .map(|c| format!("{}>{}:{}", c.client, c.server, c.port))
                .collect();
            assert_eq!(shown.join(" "), expected, "{message}");
        }
        assert_eq!(conversations(b"\xff", 0.8), []);
    }
}
