//! Rows that are longer than their topic takes.

use super::pipeline::{at_once, refusal, start, table};
use super::topics::{Got, all, put, texts, topic, topic_with, unique, value};

/// `max.message.bytes` of the topics here.
const LIMIT: usize = 10_000;

fn limited(what: &str, limit: usize) -> String {
    topic_with(what, 1, &[("max.message.bytes", &limit.to_string())])
}

/// Rows of `x` and so many more characters.
fn script(from: &str, to: &str, options: &str) -> String {
    table("a", "x TEXT, n BIGINT", from, "format = 'csv'")
        + &table("b", "x TEXT", to, &format!("format = 'csv'{options}"))
        + "INSERT INTO b SELECT concat(x, repeat('x', n)) AS x FROM a;"
}

fn lengths(messages: &[Got]) -> Vec<usize> {
    messages.iter().map(|message| message.value.len()).collect()
}

#[test]
fn a_row_that_its_topic_does_not_take_is_a_dead_letter_that_fits() {
    for (delivery, limit) in [("exactly_once", LIMIT), ("at_least_once", LIMIT), ("exactly_once", 1_048_588)] {
        let (from, to, dead) = (topic("from", 1), limited("to", limit), limited("dead", 2_000));
        let options = format!(", delivery = '{delivery}', dead_letter_topic = '{dead}'");
        let lines =
            [format!("a,{}", limit - 1_000), format!("b,{limit}"), "c,1".to_owned(), format!("d,{}", 2 * limit)];
        put(&from, &lines.iter().map(|line| value(0, line)).collect::<Vec<_>>());
        let mut run = start(&unique("long"), &script(&from, &to, &options));
        run.wait_for(&to, 2);
        let dead_letters = run.wait_for(&dead, 2);
        run.stop();
        assert_eq!(lengths(&all(&to)), [limit - 999, 2]);
        for dead_letter in dead_letters {
            assert_eq!(dead_letter.header("davy-reason"), "too_long");
            let text = dead_letter.text();
            assert!((800..2_000).contains(&text.len()), "{}", text.len());
            assert!(text.starts_with("{\"x\":\"bxx") || text.starts_with("{\"x\":\"dxx"), "{text}");
        }
    }
}

#[test]
fn without_dead_letters_such_a_row_ends_the_pipeline_with_what_to_change() {
    at_once(&["exactly_once", "at_least_once"], |delivery| {
        let (from, to) = (topic("from", 1), limited("to", LIMIT));
        put(&from, &[value(0, "b,10000")]);
        let said = refusal(&unique("long"), &script(&from, &to, &format!(", delivery = '{delivery}'")));
        let said = said.split_once("a row of").map(|(_, rest)| rest.replace(&to, "to"));
        assert_eq!(
            said.as_deref(),
            Some(
                " table `b` has 10001 bytes, topic `to` takes 9872; raise the topic's `max.message.bytes`, or say on_error = 'dead_letter' \
                 with a dead_letter_table or dead_letter_topic for the table"
            )
        );
        assert!(all(&to).is_empty());
    });
}

#[test]
fn a_window_whose_row_is_too_long_is_a_dead_letter_of_its_sink() {
    let (from, to, dead) = (topic("from", 1), limited("to", LIMIT), topic("dead", 1));
    let script = table("a", "ts TIMESTAMP, k TEXT, WATERMARK FOR ts AS ts", &from, "format = 'csv'")
        + &table("b", "k TEXT, all_ts TEXT", &to, &format!("format = 'json', dead_letter_topic = '{dead}'"))
        + "INSERT INTO b SELECT k, string_agg(CAST(ts AS TEXT), ' ') AS all_ts FROM a GROUP BY tumble(INTERVAL '10 seconds'), k;";
    let many = "1,many\n".repeat(1_000) + "1,few\n20,end";
    put(&from, &[value(0, &many)]);
    let mut run = start(&unique("long"), &script);
    let rows = run.wait_for(&to, 1);
    let dead_letters = run.wait_for(&dead, 1);
    run.stop();
    assert_eq!(texts(&rows), ["{\"k\":\"few\",\"all_ts\":\"1970-01-01T00:00:01\"}"]);
    assert!(dead_letters[0].text().starts_with("{\"k\":\"many\","), "{:.100}", dead_letters[0].text());
}

#[test]
fn rows_that_share_a_batch_or_a_message_fit_together() {
    for options in ["", ", rows_per_message = 50", ", delivery = 'at_least_once', compression = 'none'"] {
        let (from, to) = (topic("from", 1), limited("to", LIMIT));
        let lines: Vec<String> = (0..100).map(|n| format!("{n},1000")).collect();
        put(&from, &[value(0, &lines.join("\n"))]);
        let mut run = start(
            &unique("shared"),
            &script(
                &from,
                &to,
                &format!(", compression = 'none'{options}").replace(", compression = 'none', delivery", ", delivery"),
            ),
        );
        let mut n_rows = 0;
        run.until("all rows", || {
            n_rows = texts(&all(&to)).iter().map(|text| text.lines().count()).sum();
            n_rows == 100
        });
        run.stop();
    }
}
