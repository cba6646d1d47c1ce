//! Topics into files: when files appear, which tables may be files, and what a full disk does.
//!
//! That no crash loses or doubles a row of a file is tested in `transactional` and, with processes that die, in `cli/tests/it/`.

use std::path::Path;
use std::process::Command;

use davy_worker::connector::LocalConnectors;
use davy_worker::slots::planning::shapes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::pipeline::{notices, refusal, start, table};
use super::topics::{put, topic, unique, value};
use crate::harness::{left_out, names_in};

/// `CREATE TABLE name (columns) WITH (…)` over a folder.
fn files(name: &str, columns: &str, folder: &Path, options: &str) -> String {
    format!(
        "CREATE TABLE {name} ({columns}) WITH (connector = 'filesystem', type = 'sink', path = '{}', {options});\n",
        folder.display()
    )
}

/// The lines of all files that readers see, sorted.
fn lines(folder: &Path) -> Vec<String> {
    let visible = |name: &String| !name.starts_with('.');
    let read = |name: String| std::fs::read_to_string(folder.join(name)).expect("a file");
    let texts: Vec<String> = names_in(folder).into_iter().filter(visible).map(read).collect();
    let mut lines: Vec<String> = texts.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn make_folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_file_is_finished_after_its_interval_though_no_rows_come() {
    let (from, folder) = (topic("from", 1), make_folder());
    put(&from, &[value(0, "1\n2\n3")]);
    let script = table("a", "x TEXT", &from, "format = 'csv'")
        + &files("b", "x TEXT", folder.path(), "format = 'csv', rollover_interval = '1s'")
        + "INSERT INTO b SELECT x FROM a;";
    let mut run = start(&unique("interval"), &script);
    run.until("a file", || !lines(folder.path()).is_empty());
    run.stop();
    assert_eq!(lines(folder.path()), ["1", "2", "3"]);
}

#[test]
fn a_pipeline_that_stops_finishes_its_files_and_goes_on_in_new_ones() {
    for format in ["format = 'csv'", "format = 'csv', rollover_rows = '1'"] {
        let (name, from, folder) = (unique("stops"), topic("from", 3), make_folder());
        let script = table("a", "x TEXT", &from, "format = 'csv'")
            + &files("b", "x TEXT", folder.path(), format)
            + "INSERT INTO b SELECT x FROM a;";
        for round in 1..=3 {
            let rows: Vec<String> = (0..3).map(|partition| format!("{round}{partition}")).collect();
            let messages: Vec<_> = rows.iter().zip(0..).map(|(row, partition)| value(partition, row)).collect();
            put(&from, &messages);
            let mut run = start(&name, &script);
            let metrics = run.metrics.clone();
            run.until("the rows", || metrics.sink_rows.get() == 3);
            run.stop();
            assert_eq!(lines(folder.path()).len(), 3 * round, "{format}: {:?}", names_in(folder.path()));
            assert!(names_in(folder.path()).iter().all(|name| !name.starts_with('.')), "{format}: nothing is hidden");
        }
        assert_eq!(lines(folder.path()), ["10", "11", "12", "20", "21", "22", "30", "31", "32"], "{format}");
    }
}

#[test]
fn late_rows_and_bad_records_may_go_to_files() {
    let (from, folder) = (topic("from", 1), make_folder());
    let sub = |name: &str| folder.path().join(name);
    put(&from, &[value(0, "10,a\nnever,b\n100,c\n20,d\n200,e")]);
    let script = files("late", "ts TIMESTAMP, k TEXT", &sub("late"), "format = 'csv'")
        + &files("dead", "value BYTEA", &sub("dead"), "format = 'raw_string'")
        + &files("b", "k TEXT, n BIGINT", &sub("b"), "format = 'csv'")
        + &table(
            "a",
            "ts TIMESTAMP, k TEXT, WATERMARK FOR ts AS ts",
            &from,
            "format = 'csv', late_table = 'late', bad_record = 'dead_letter', dead_letter_table = 'dead'",
        )
        + "INSERT INTO b SELECT k, n FROM (SELECT tumble(INTERVAL '10 seconds') AS w, k, count(*) AS n FROM a GROUP BY 1, 2);";
    let name = unique("dead");
    let mut run = start(&name, &script);
    let metrics = run.metrics.clone();
    run.until("all rows", || 4 <= metrics.sink_rows.get());
    run.stop();
    assert_eq!(lines(&sub("late")), ["1970-01-01 00:00:20,d"]);
    assert_eq!(lines(&sub("dead")), ["never,b"]);
    assert_eq!(lines(&sub("b")), ["a,1", "c,1"]);
}

#[test]
fn what_cannot_be_exact_is_refused() {
    let (from, folder) = (topic("from", 1), make_folder());
    let source = table("a", "x TEXT", &from, "format = 'csv'");
    let copy = "INSERT INTO b SELECT x FROM a;";
    let single = format!(
        "CREATE TABLE b (x TEXT) WITH (connector = 'single_file', path = '{}', format = 'csv');\n",
        folder.path().join("all.csv").display()
    );
    let refused = refusal(&unique("single"), &(source.clone() + &single + copy));
    assert!(refused.contains("table `b`: `single_file`") && refused.contains("connector = 'filesystem'"), "{refused}");
    let own_disk = source.clone() + &files("b", "x TEXT", folder.path(), "format = 'csv'") + copy;
    let shared = source + &files("b", "x TEXT", folder.path(), "format = 'csv', shared = 'true'") + copy;
    let plan = |sql: String| {
        let script = davy_proto::domain::Script { sql, settings: Default::default() };
        shapes(&script, &LocalConnectors::default()).map(|shapes| shapes.len())
    };
    let refused = plan(own_disk).expect_err("each worker has its own disk").to_string();
    assert!(refused.contains("table `b`: the folder") && refused.contains("shared = 'true'"), "{refused}");
    assert_eq!(plan(shared).expect("a shared folder"), 1);
}

#[test]
fn a_committed_file_that_is_gone_ends_the_run() {
    let (name, from, folder) = (unique("gone"), topic("from", 1), make_folder());
    put(&from, &[value(0, "1")]);
    let script = table("a", "x TEXT", &from, "format = 'csv'")
        + &files("b", "x TEXT", folder.path(), "format = 'csv'")
        + "INSERT INTO b SELECT x FROM a;";
    let mut run = start(&name, &script);
    let metrics = run.metrics.clone();
    run.until("the row", || metrics.sink_rows.get() == 1);
    let open = names_in(folder.path());
    assert!(open.len() == 1 && open[0].starts_with('.'), "{open:?}");
    std::fs::remove_file(folder.path().join(&open[0])).expect("removed");
    put(&from, &[value(0, "2")]);
    let refused = run.error().to_string();
    assert!(refused.contains("was deleted, but 2 bytes of it are committed"), "{refused}");
}

/// A disk of its own, as small as wanted.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None` where this user may not mount one.
    fn mount(size: &str) -> Option<Self> {
        let folder = make_folder();
        mount(folder.path(), &format!("size={size}")).then(|| Self(folder))
    }
}

fn mount(folder: &Path, options: &str) -> bool {
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output();
    mounted.is_ok_and(|output| output.status.success())
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(), "a mount stays");
    }
}

#[test]
fn a_full_disk_stops_a_task_at_its_last_commit_until_there_is_room() {
    let Some(disk) = Disk::mount("256k") else {
        left_out("a full disk: this user may not mount a tmpfs");
        return;
    };
    for (format, rollover) in [("csv", "1000000"), ("csv", "100"), ("parquet", "100")] {
        assert!(mount(disk.0.path(), "remount,size=256k"), "remounted");
        let (name, from) = (unique("full"), topic("from", 1));
        let folder = disk.0.path().join(format!("{format}-{rollover}"));
        let script = table("a", "x TEXT", &from, "format = 'csv'")
            + &files("b", "x TEXT", &folder, &format!("format = '{format}', rollover_rows = '{rollover}'"))
            + "INSERT INTO b SELECT x FROM a;";
        let mut run = start(&name, &script);
        let metrics = run.metrics.clone();
        let mut sent = Vec::new();
        run.until("a full disk", || {
            if sent.len() < 4_000 {
                let rows: Vec<String> = (0..100).map(|n| incompressible((sent.len() + n) as u64)).collect();
                put(&from, &[value(0, &rows.join("\n"))]);
                sent.extend(rows);
            }
            notices("No space left").iter().any(|line| line.contains(&name))
        });
        let said = notices("No space left").into_iter().find(|line| line.contains(&name)).expect("a notice");
        assert!(said.contains("table `b`") && said.contains("continues from its last commit"), "{said}");
        assert!(0 < metrics.task_restarts.get());
        assert!(mount(disk.0.path(), "remount,size=64m"), "remounted");
        run.until("all rows", || metrics.sink_rows.get() == sent.len() as u64);
        run.stop();
        if format == "csv" {
            assert_eq!(lines(&folder), sent, "{format}, {rollover}");
        } else {
            assert_eq!(count_parquet(&folder), sent.len(), "{format}");
        }
        assert!(names_in(&folder).iter().all(|name| !name.starts_with('.')), "{format}: nothing is hidden");
        std::fs::remove_dir_all(&folder).expect("room for the next");
    }
}

/// A row that sorts by its number and that no compression makes short.
fn incompressible(n: u64) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(n);
    let digits: String = (0..25).map(|_| format!("{:08x}", random.next_u32())).collect();
    format!("{n:05}{digits}")
}

fn count_parquet(folder: &Path) -> usize {
    let count = |name: String| {
        let file = std::fs::File::open(folder.join(name)).expect("a file");
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 1_024).expect("parquet");
        reader.map(|batch| batch.expect("rows").num_rows()).sum::<usize>()
    };
    names_in(folder).into_iter().map(count).sum()
}
