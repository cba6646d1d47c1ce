//! The tenant service: `GET <service><id>` answers `{"partition": 3}`, the partition of both topics that belongs to a tenant.
//!
//! While the service is away, the request is repeated with a back-off, until SIGTERM. An answer that no retry changes ends the command.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::Ordering;
use std::time::Duration;

use davy_engine::{Error, Result};

use crate::signals::Signals;

/// How long connecting, and each step of an answer, may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between the first two tries; doubled after each, up to the longest.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// How often a stop is looked for meanwhile.
const GLANCE: Duration = Duration::from_millis(100);
/// An answer is a few bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// Where the service is: `http://host:port/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address {
    host: String,
    port: u16,
    path: String,
}

/// A tenant's partition; `None` when the process is to stop before the service has answered.
pub(super) fn partition(service: &str, tenant: &str, signals: &Signals) -> Result<Option<u32>> {
    let url = format!("{service}{tenant}");
    let address = address(&url)?;
    let mut pause = SHORTEST;
    while !signals.stop.load(Ordering::Relaxed) {
        match get(&address).and_then(|answer| read(&answer)) {
            Ok(partition) => return Ok(Some(partition)),
            Err(Error::Unavailable(why)) => {
                let seconds = pause.as_secs_f32();
                tracing::warn!(%url, %why, "the tenant service has no answer; the next request is in {seconds} s");
            }
            Err(error) => return Err(error.context(&format!("tenant service `{url}`"))),
        }
        let mut waited = Duration::ZERO;
        while waited < pause && !signals.stop.load(Ordering::Relaxed) {
            std::thread::park_timeout(GLANCE);
            waited += GLANCE;
        }
        pause = (pause * 2).min(LONGEST);
    }
    Ok(None)
}

fn address(url: &str) -> Result<Address> {
    let wrong = |why: &str| {
        Error::invalid(format!("tenant service `{url}`: {why}"))
            .hint("-ts is the beginning of an address such as http://tenants:8080/tenants/, to which the tenant's id is added")
    };
    let rest = url.strip_prefix("http://").ok_or_else(|| wrong("only http:// is spoken"))?;
    if url.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong("it has blanks"));
    }
    let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    // The colons of an IPv6 address are in brackets.
    let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
        Some((host, port)) => (host, port.parse().map_err(|_| wrong("the port is no number"))?),
        None => (authority, 80),
    };
    if host.is_empty() {
        return Err(wrong("it has no host"));
    }
    Ok(Address { host: host.to_owned(), port, path: path.to_owned() })
}

/// Sends the request; HTTP 1.0, so that the answer ends with the connection.
fn get(address: &Address) -> Result<Vec<u8>> {
    let Address { host, port, path } = address;
    let away = |error: std::io::Error| Error::Unavailable(error.to_string());
    let name = host.trim_matches(['[', ']']);
    let mut found = (name, *port).to_socket_addrs().map_err(away)?;
    let first = found.next().ok_or_else(|| Error::Unavailable(format!("`{host}` has no address")))?;
    let mut stream = TcpStream::connect_timeout(&first, PATIENCE).map_err(away)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(away)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(away)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(away)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).map_err(away)?;
    Ok(answer)
}

/// The partition in an answer.
fn read(answer: &[u8]) -> Result<u32> {
    let text = String::from_utf8_lossy(answer);
    let no_answer = || Error::Unavailable("the answer is not HTTP".to_owned());
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(no_answer)?;
    let status: u16 = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or_else(no_answer)?;
    match status {
        200..=299 => {}
        // Too slow, too many requests, and everything that is the service's own trouble.
        408 | 429 | 500.. => return Err(Error::Unavailable(format!("HTTP status {status}"))),
        _ => return Err(Error::invalid(format!("HTTP status {status}")).hint("check -ts and -tid")),
    }
    let object: Option<serde_json::Value> = serde_json::from_str(body.trim()).ok();
    let partition = object.and_then(|object| u32::try_from(object.get("partition")?.as_u64()?).ok());
    partition.ok_or_else(|| {
        let shown: String = body.trim().chars().take(100).collect();
        Error::invalid(format!("the answer `{shown}` names no partition"))
            .hint("it should be such as {\"partition\": 3}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_the_arguments_make_together() {
        let made = |host: &str, port, path: &str| Address { host: host.to_owned(), port, path: path.to_owned() };
        let cases = [
            ("http://tenants/7", Some(made("tenants", 80, "/7"))),
            ("http://10.0.0.1:8080/api/tenants/?id=7", Some(made("10.0.0.1", 8080, "/api/tenants/?id=7"))),
            ("http://[::1]:80/7", Some(made("[::1]", 80, "/7"))),
            ("http://[::1]/7", Some(made("[::1]", 80, "/7"))),
            ("http://tenants", Some(made("tenants", 80, "/"))),
            ("https://tenants/7", None),
            ("tenants/7", None),
            ("http://tenants:x/7", None),
            ("http://:80/7", None),
            ("http://tenants/7\r\nX: y", None),
        ];
        for (url, expected) in cases {
            assert_eq!(address(url).ok(), expected, "{url}");
        }
    }

    #[test]
    fn an_answer_is_a_partition_or_a_reason() {
        let cases = [
            ("HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\n{\"partition\": 3, \"more\": 1}\n", "3"),
            ("HTTP/1.0 503 Busy\r\n\r\n", "HTTP status 503"),
            ("HTTP/1.0 404 No\r\n\r\n", "HTTP status 404; check -ts and -tid"),
            ("HTTP/1.0 200 OK\r\n\r\n", "the answer `` names no partition; it should be such as {\"partition\": 3}"),
            ("HTTP/1.0 200 OK\r\n\r\n{\"partition\": -1}", "the answer `{\"partition\": -1}` names no partition"),
            ("HTTP/1.0 200 OK\r\n", "the answer is not HTTP"),
            ("SSH-2.0", "the answer is not HTTP"),
        ];
        for (answer, expected) in cases {
            let found =
                read(answer.as_bytes()).map_or_else(|error| error.to_string(), |partition| partition.to_string());
            assert!(found.starts_with(expected), "{answer}: {found}");
        }
    }
}
