//! Late rows: which they are is decided by the rows before them in their own partition, so a replay decides the same.

use super::pipeline::{start, table};
use super::topics::{Put, all, put, texts, topic, unique, value};

#[test]
fn late_rows_go_to_their_table_with_where_they_are_from() {
    let (from, to, late) = (topic("from", 2), topic("to", 1), topic("late", 1));
    // Seconds and names; windows of 10 s. What is late stands behind a row that closed its window, in the same partition.
    let lines = [
        (0, "1,a"),
        (0, "25,a"),
        (0, "3,late"),
        (1, "2,b"),
        (1, "9,b"),
        (1, "15,b\n4,late\n11,b"),
        (0, "19,late"),
        (0, "x,bad"),
        (0, "29,a"),
        (0, "99,a"),
        (1, "99,b"),
        (1, "89,late"),
    ];
    put(&from, &lines.map(|(partition, line)| value(partition, line)));
    let columns = "ts TIMESTAMP, sa TEXT, WATERMARK FOR ts AS ts";
    let script = "SET exchange_partitions = 2;\n".to_owned()
        + &table("a", columns, &from, "format = 'csv', late_table = 'late'")
        + &table("b", "start TIMESTAMP, n BIGINT", &to, "format = 'csv'")
        + &table("late", "sa TEXT, ts TIMESTAMP", &late, "format = 'json', key = 'sa'")
        + "INSERT INTO b SELECT w.start, n FROM (SELECT tumble(INTERVAL '10 seconds') AS w, count(*) AS n FROM a GROUP BY 1);";
    let name = unique("late");
    let mut run = start(&name, &script);
    run.wait_for(&late, 4);
    run.wait_for(&to, 3);
    let metrics = run.stop();
    assert_eq!((metrics.late_rows.get(), metrics.source_rows.get()), (4, 13));
    let mut rows = Vec::new();
    for row in all(&late) {
        assert_eq!((row.key.as_deref(), row.header("davy-reason")), (Some("late"), "late"));
        assert_eq!((row.header("davy-topic"), row.header("davy-pipeline")), (&*from, &*name));
        rows.push(format!("{}/{} {}", row.header("davy-partition"), row.header("davy-offset"), row.text()));
    }
    rows.sort();
    let at = |second: u32| format!("{{\"sa\":\"late\",\"ts\":\"1970-01-01T00:0{}:{:02}Z\"}}", second / 60, second % 60);
    assert_eq!(
        rows,
        [format!("0/2 {}", at(3)), format!("0/3 {}", at(19)), format!("1/2 {}", at(4)), format!("1/4 {}", at(89))]
    );
    assert_eq!(
        texts(&all(&to)),
        ["1970-01-01 00:00:00,3", "1970-01-01 00:00:10,2", "1970-01-01 00:00:20,2"],
        "the window of second 99 is open"
    );
}

#[test]
fn a_row_within_the_allowed_lateness_counts() {
    let (from, to) = (topic("from", 1), topic("to", 1));
    let lines = ["1", "12", "2", "21", "3", "99"];
    put(&from, &lines.map(|line| Put { partition: 0, ..value(0, line) }));
    let script = "SET exchange_partitions = 2;\n".to_owned()
        + &table("a", "ts TIMESTAMP, WATERMARK FOR ts AS ts", &from, "format = 'csv', allowed_lateness = '10s'")
        + &table("b", "n BIGINT", &to, "format = 'csv'")
        + "INSERT INTO b SELECT count(*) AS n FROM a GROUP BY tumble(INTERVAL '10 seconds');";
    let mut run = start(&unique("lateness"), &script);
    run.wait_for(&to, 3);
    assert_eq!(run.stop().late_rows.get(), 1, "second 3 came after second 21");
    assert_eq!(texts(&all(&to)), ["1", "1", "2"]);
}
