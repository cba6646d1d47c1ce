//! A run that sends alerts to a receiver which fails first and refuses one of them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use crate::run::{davy, folder, text};

const SCRIPT: &str = "CREATE TABLE verdicts (client TEXT, te TIMESTAMP)
WITH (connector = 'single_file', path = 'verdicts.csv', type = 'source', format = 'csv');
CREATE TABLE refused (reason TEXT, detail TEXT, value TEXT)
WITH (connector = 'single_file', path = 'refused.jsonl', type = 'sink', format = 'json');
CREATE TABLE siem (line TEXT)
WITH (connector = 'http', url = '${env:DAVY_TEST_RECEIVER}', format = 'raw_string', batch_rows = '3', DEAD_LETTERS);
INSERT INTO siem SELECT alert_falcosidekick(named_struct('id', alert_id(client, te), 'rule', 'Mining', 'time', te, 'src_ip', client))
FROM verdicts;";

const VERDICTS: &str = "10.0.0.1,2026-01-31 12:00:00\n10.0.0.2,2026-01-31 12:00:00\n10.0.0.3,2026-01-31 12:00:00\n";

/// Reads one request; its body.
fn read(stream: &TcpStream) -> String {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a request");
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    String::from_utf8(body).expect("text")
}

/// Answers 503 once, 422 to requests with `10.0.0.2`, else 200, until it gets an empty request; gives what was delivered.
fn receive(listener: &TcpListener) -> Vec<String> {
    let mut delivered = Vec::new();
    let mut has_failed = false;
    for stream in listener.incoming() {
        let mut stream = stream.expect("a connection");
        let body = read(&stream);
        let status = match body.as_str() {
            "" => return delivered,
            _ if !std::mem::replace(&mut has_failed, true) => "503 Service Unavailable",
            body if body.contains("10.0.0.2") => "422 Unprocessable Content",
            _ => "200 OK",
        };
        if status.starts_with("200") {
            delivered.extend(body.lines().map(str::to_owned));
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).expect("answered");
    }
    delivered
}

/// Runs the script against a receiver: exit code, what it says, what was delivered, what was refused.
fn run(dead_letters: &str) -> (Option<i32>, String, Vec<String>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let script = SCRIPT
        .replace("${env:DAVY_TEST_RECEIVER}", &format!("http://{address}/"))
        .replace("DEAD_LETTERS", dead_letters);
    let folder = folder(&[("s.sql", &script), ("verdicts.csv", VERDICTS)]);
    let (output, delivered) = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(&listener));
        let output = davy(folder.path(), &["run", "s.sql"]);
        let mut last = TcpStream::connect(address).expect("the receiver listens");
        last.write_all(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n").expect("sent");
        (output, receiver.join().expect("the receiver ends"))
    });
    let refused = std::fs::read_to_string(folder.path().join("refused.jsonl")).unwrap_or_default();
    (output.status.code(), text(&output.stderr), delivered, refused)
}

#[test]
fn alerts_arrive_and_a_refused_one_is_a_dead_letter() {
    let (code, said, delivered, refused) = run("on_error = 'dead_letter', dead_letter_table = 'refused'");
    assert_eq!(code, Some(0), "{said}");
    let clients: Vec<String> = delivered
        .iter()
        .map(|line| {
            let alert: serde_json::Value = serde_json::from_str(line).expect("JSON");
            alert["output_fields"]["src_ip"].as_str().expect("an address").to_owned()
        })
        .collect();
    assert_eq!(clients, ["10.0.0.1", "10.0.0.3"], "{said}");
    let dead: serde_json::Value = serde_json::from_str(refused.trim()).expect("one dead letter");
    assert_eq!(dead["reason"], "refused");
    let detail = dead["detail"].as_str().expect("text");
    assert!(detail.contains("table `siem` is refused by its receiver: HTTP status 422"), "{detail}");
    assert!(dead["value"].as_str().expect("text").contains("10.0.0.2"), "{dead}");
}

#[test]
fn without_a_place_for_it_a_refused_alert_ends_the_run() {
    let (code, said, _, refused) = run("on_error = 'fail'");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("is refused by its receiver: HTTP status 422"), "{said}");
    assert!(said.contains("on_error = 'dead_letter'"), "{said}");
    assert_eq!(refused, "");
}
