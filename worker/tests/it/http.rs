//! `http`: what a receiver gets, and what becomes of rows when it fails, hangs or refuses.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use davy_engine::log::{Sink, Unwritable};
use davy_engine::{Error, Result};

use crate::harness::{create, raw};

/// How the receiver answers a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Status(u16),
    /// 429, with `Retry-After: 0`.
    Later,
    /// Never.
    Hang,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    headers: Vec<(String, String)>,
    body: String,
}

impl Request {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    /// Bodies with this in them are refused.
    refuses: Option<&'static str>,
    requests: Vec<Request>,
    delivered: Vec<String>,
}

/// A receiver on a thread of its own; it ends with the test.
pub(crate) struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    pub(crate) fn new(replies: &[Reply], refuses: Option<&'static str>) -> Self {
        let state = State { replies: replies.iter().copied().collect(), refuses, ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::clone(&state);
        let receive = move |headers: HeaderMap, body: Bytes| answer(Arc::clone(&shared), headers, body);
        let router = Router::new().route("/in", axum::routing::post(receive));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Self { address, state, _runtime: runtime }
    }

    fn sink(&self, options: &[(&str, &str)]) -> Box<dyn Sink> {
        let url = self.url();
        let options = [&[("url", url.as_str()), ("retry_for", "10s")], options].concat();
        let table = create("http", &options).format(raw()).table().expect("a table");
        table.sink(&rows(&[]).schema()).expect("a sink")
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    fn requests(&self) -> Vec<Request> {
        self.state.lock().expect("no test panics with it").requests.clone()
    }

    pub(crate) fn delivered(&self) -> Vec<String> {
        self.state.lock().expect("no test panics with it").delivered.clone()
    }
}

async fn answer(state: Arc<Mutex<State>>, headers: HeaderMap, body: Bytes) -> Response {
    let text = String::from_utf8(body.to_vec()).expect("text");
    let reply = {
        let mut state = state.lock().expect("no test panics with it");
        let header = |(name, value): (&axum::http::HeaderName, &axum::http::HeaderValue)| {
            (name.to_string(), value.to_str().expect("text").to_owned())
        };
        state.requests.push(Request { headers: headers.iter().map(header).collect(), body: text.clone() });
        let is_refused = state.refuses.is_some_and(|refused| text.contains(refused));
        let reply = state.replies.pop_front().unwrap_or(Reply::Status(if is_refused { 422 } else { 200 }));
        if matches!(reply, Reply::Status(200)) {
            state.delivered.extend(text.lines().map(str::to_owned));
        }
        reply
    };
    match reply {
        Reply::Status(status) => (StatusCode::from_u16(status).expect("a status"), "no\nway").into_response(),
        Reply::Later => (StatusCode::TOO_MANY_REQUESTS, [("Retry-After", "0")]).into_response(),
        Reply::Hang => std::future::pending().await,
    }
}

fn rows(texts: &[&str]) -> RecordBatch {
    let lines: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    RecordBatch::try_from_iter([("line", lines)]).expect("one column")
}

/// The rows that are refused.
fn refused(delivered: Result<Option<Vec<Unwritable>>>) -> Vec<usize> {
    let refused = delivered.expect("delivered").expect("before the commit");
    refused.into_iter().map(|row| row.row).collect()
}

#[test]
fn a_receiver_that_fails_and_hangs_gets_the_same_request_again() {
    let replies = [Reply::Status(503), Reply::Hang, Reply::Later, Reply::Status(408)];
    let receiver = Receiver::new(&replies, None);
    let mut sink = receiver.sink(&[("timeout", "200ms")]);
    assert_eq!(refused(sink.deliver(&rows(&["a", "b"]))), [0; 0]);
    assert_eq!(receiver.delivered(), ["a", "b"]);
    let requests = receiver.requests();
    assert_eq!(requests.len(), 5);
    let same = |request: &Request| {
        (request.body.clone(), request.header("idempotency-key").to_owned()) == ("a\nb\n".to_owned(), key(&requests[0]))
    };
    assert!(requests.iter().all(same), "{requests:#?}");
    assert_eq!(key(&requests[0]).len(), 66, "a hash in quotes");
    refused(sink.deliver(&rows(&["c"])));
    assert_ne!(key(&receiver.requests()[5]), key(&requests[0]), "other rows have another key");
}

fn key(request: &Request) -> String {
    request.header("idempotency-key").to_owned()
}

#[test]
fn rows_that_are_refused_are_found_and_all_others_arrive_once() {
    let receiver = Receiver::new(&[], Some("bad"));
    let mut sink = receiver.sink(&[("batch_rows", "4")]);
    let texts = ["a", "b", "c", "bad 1", "d", "e", "f", "g", "bad 2", "bad 3"];
    let delivered = sink.deliver(&rows(&texts)).expect("delivered").expect("before the commit");
    let whys: Vec<&str> = delivered.iter().map(|row| row.why.as_str()).collect();
    assert_eq!(whys, ["is refused by its receiver: HTTP status 422: no way"; 3]);
    assert_eq!(delivered.iter().map(|row| row.row).collect::<Vec<_>>(), [3, 8, 9]);
    assert_eq!(receiver.delivered(), ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn nothing_is_dropped_where_the_receiver_is_wrong_or_away() {
    let away = create("http", &[("url", "http://127.0.0.1:1/in"), ("retry_for", "0s")]).format(raw());
    let mut sink = away.table().expect("a table").sink(&rows(&[]).schema()).expect("a sink");
    let error = sink.deliver(&rows(&["a"])).expect_err("nothing listens there");
    assert!(matches!(error, Error::Unavailable(_)), "{error}");
    for (status, expected) in [(401, "401"), (404, "404"), (403, "403"), (500, "does not take rows: HTTP status 500")] {
        let receiver = Receiver::new(&[Reply::Status(status)], None);
        let mut sink = receiver.sink(&[("retry_for", "0s"), ("token", "t0k3n"), ("header.X-Key", "s3cret")]);
        let error = sink.deliver(&rows(&["a"])).expect_err("no such status delivers rows");
        assert!(matches!(error, Error::Unavailable(_)), "{error}");
        let said = error.to_string();
        assert!(said.contains(expected) && said.contains("table `t`"), "{said}");
        assert!(!said.contains("t0k3n") && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn a_request_has_rows_as_the_table_says() {
    type Pairs = &'static [(&'static str, &'static str)];
    let cases: [(Pairs, &[&str], &str); 5] = [
        (&[], &["1\n2\n3\n"], "text/plain; charset=utf-8"),
        (&[("batch_rows", "2")], &["1\n2\n", "3\n"], "text/plain; charset=utf-8"),
        (&[("batch_bytes", "1")], &["1\n", "2\n", "3\n"], "text/plain; charset=utf-8"),
        (&[("batch_format", "array")], &["[1,2,3]"], "application/json"),
        (&[("content_type", "application/x-cef")], &["1\n2\n3\n"], "application/x-cef"),
    ];
    for (options, bodies, content_type) in cases {
        let receiver = Receiver::new(&[], None);
        let options = [options, &[("token", "t0k3n"), ("header.X-Scope", "blue")]].concat();
        refused(receiver.sink(&options).deliver(&rows(&["1", "2", "3"])));
        let requests = receiver.requests();
        assert_eq!(requests.iter().map(|request| request.body.as_str()).collect::<Vec<_>>(), bodies, "{options:?}");
        for request in requests {
            assert_eq!(request.header("content-type"), content_type);
            assert_eq!(request.header("authorization"), "Bearer t0k3n");
            assert_eq!(request.header("x-scope"), "blue");
        }
    }
}

#[test]
fn dead_letters_of_other_tables_are_sent_with_their_commit() {
    let receiver = Receiver::new(&[], Some("bad"));
    let mut sink = receiver.sink(&[]);
    sink.write(&rows(&["dropped"])).expect("staged");
    sink.abort().expect("dropped");
    sink.write(&rows(&["a"])).expect("staged");
    assert_eq!(receiver.requests(), [], "nothing is sent before the commit");
    sink.commit().expect("sent");
    assert_eq!(receiver.delivered(), ["a"]);
    sink.write(&rows(&["bad"])).expect("staged");
    assert!(matches!(sink.commit(), Err(Error::Unavailable(_))), "there is no other place for them");
}

#[test]
fn options_are_checked_before_anything_is_sent() {
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[], "option `url` is missing"),
        (&[("url", "siem/in")], "option `url`"),
        (&[("url", "http://me:pass@siem/in")], "user name"),
        (&[("batch_rows", "0")], "`batch_rows` cannot be `0`"),
        (&[("batch_format", "xml")], "expected 'lines', 'array'"),
        (&[("timeout", "soon")], "`timeout` cannot be `soon`"),
        (&[("header.X-Key", "a\nb")], "option `header.X-Key` cannot be a header"),
        (&[("header.", "a")], "cannot be a header"),
        (&[("type", "source")], "connector `http` can only be written, not read"),
    ];
    for (options, expected) in cases {
        let has_url = options.iter().any(|(name, _)| *name == "url") || expected.contains("missing");
        let url: &[(&str, &str)] = if has_url { &[] } else { &[("url", "http://siem/in")] };
        let refusal = create("http", &[url, options].concat()).format(raw()).refusal();
        assert!(refusal.contains(expected), "{options:?}: {refusal}");
    }
}
