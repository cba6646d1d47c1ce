//! `nfcapd` with the real program and files of real collectors.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow::datatypes::DataType;
use davy_engine::connector::Table;
use davy_engine::format::{DecodeField, DecodeSpec, FieldFrom};
use davy_worker::connector::LocalConnectors;

use crate::harness::{WHOLE, check_resume, create, fixtures, format, left_out, no_columns, path, read, text};

fn table(pattern: &Path, options: &[(&str, &str)]) -> Arc<dyn Table> {
    let pattern = path(pattern);
    create("nfcapd", &[&[("path", pattern.as_str())], options].concat()).table().expect("a table")
}

fn with_program(nfdump: &str) -> LocalConnectors {
    LocalConnectors { nfdump: Some(nfdump.into()), ..LocalConnectors::default() }
}

fn has_nfdump() -> bool {
    let found = Command::new("nfdump").arg("-V").output().is_ok();
    if !found {
        left_out("`nfdump` is not installed");
    }
    found
}

fn read_text(table: &dyn Table) -> String {
    text(&read(table, &no_columns(), WHOLE).expect("read"))
}

#[test]
fn a_missing_program_is_said_with_how_to_get_it() {
    let missing = create("nfcapd", &[("path", "/tmp/*")]).among(with_program("nfdump-nowhere"));
    let refusal = missing.refusal();
    assert!(refusal.contains("the program `nfdump-nowhere` is not installed"), "{refusal}");
    assert!(refusal.contains("apt-get install nfdump"), "{refusal}");
    // A script cannot choose what is run.
    let refusal = create("nfcapd", &[("path", "/tmp/*"), ("nfdump", "/bin/true")]).refusal();
    assert!(!has_nfdump() || refusal.contains("unknown option `nfdump`"), "{refusal}");
}

#[test]
fn a_wrong_filter_is_refused_while_planning() {
    let refusal = create("nfcapd", &[("path", "/tmp/*"), ("filter", "dst prt 443")]).refusal();
    assert!(!has_nfdump() || refusal.contains("does not understand the filter `dst prt 443`"), "{refusal}");
}

#[test]
fn a_file_that_cannot_be_read_becomes_one_bad_record_and_the_others_go_on() {
    let Some(collector) = fixtures("collector").filter(|_| has_nfdump()) else { return };
    let folder = tempfile::tempdir().expect("temp dir");
    let sample = fs::read(collector.join("nfcapd.sample")).expect("a fixture");
    fs::copy(collector.join("nfcapd-corrupt"), folder.path().join("nfcapd.1-corrupt")).expect("copied");
    fs::write(folder.path().join("nfcapd.2-cut"), &sample[..sample.len() / 2]).expect("a file");
    fs::write(folder.path().join("nfcapd.3-other"), "not of nfdump\n").expect("a file");
    fs::write(folder.path().join("nfcapd.4-good"), &sample).expect("a file");
    fs::write(folder.path().join("nfcapd.current.77"), "being written").expect("a file");
    let table = table(folder.path(), &[]);
    let text = read_text(table.as_ref());
    let bad: Vec<&str> = text.lines().filter(|line| line.contains('\0')).collect();
    assert_eq!(bad.len(), 3, "{bad:?}");
    for (line, (name, said)) in
        bad.iter().zip([("1-corrupt", "Corrupt"), ("2-cut", "offset error"), ("3-other", "Short read")])
    {
        assert!(line.starts_with("nfdump: ") && line.contains(name) && line.contains(said), "{line}");
    }
    assert_eq!(text.lines().filter(|line| line.split(',').count() == 48 && !line.starts_with("ts,")).count(), 3018);
    check_resume(table.as_ref(), &no_columns());
}

#[test]
fn the_text_is_nfdumps_own_without_its_summary() {
    let Some(collector) = fixtures("collector").filter(|_| has_nfdump()) else { return };
    for (name, n_records) in
        [("nfcapd.sample", 3018), ("nfcapd-small-lzo", 10), ("nfcapd-large-bz2", 100_000), ("nfcapd-empty", 0)]
    {
        let file = collector.join(name);
        let output = Command::new("nfdump").env("TZ", "UTC").args(["-q", "-o", "csv", "-r"]).arg(&file).output();
        let by_hand = String::from_utf8(output.expect("nfdump runs").stdout).expect("text");
        let by_hand: Vec<&str> = by_hand.lines().filter(|line| line.contains(',')).collect();
        let text = read_text(table(&file, &[]).as_ref());
        let mut lines = text.lines();
        assert!(lines.next().is_some_and(|header| header.starts_with("ts,te,td,sa,da")), "{name}");
        assert_eq!(lines.collect::<Vec<_>>(), by_hand, "{name}");
        assert_eq!(by_hand.len(), n_records, "{name}");
    }
}

#[test]
fn reading_resumes_after_any_piece() {
    let Some(collector) = fixtures("collector").filter(|_| has_nfdump()) else { return };
    for size in ["100 kB", "300 B"] {
        let name = if size == "300 B" { "nfcapd-small-lzo" } else { "nfcapd.sample" };
        check_resume(table(&collector.join(name), &[("read_bytes", size)]).as_ref(), &no_columns());
    }
}

#[test]
fn a_filter_is_one_argument_and_no_shell_reads_it() {
    let Some(collector) = fixtures("collector").filter(|_| has_nfdump()) else { return };
    let file = collector.join("nfcapd.sample");
    let text = read_text(table(&file, &[("filter", "dst port 443 and not src ip 1.2.3.4")]).as_ref());
    let records: Vec<&str> = text.lines().skip(1).collect();
    assert!(!records.is_empty() && records.iter().all(|line| line.split(',').nth(6) == Some("443")));
    let refusal = create("nfcapd", &[("path", &path(&file)), ("filter", "any; touch /tmp/x")]).refusal();
    assert!(refusal.contains("does not understand the filter"), "{refusal}");
}

#[test]
fn a_dropped_source_ends_its_program() {
    let Some(collector) = fixtures("collector").filter(|_| has_nfdump()) else { return };
    let folder = tempfile::tempdir().expect("temp dir");
    let (script, pid_file) = (folder.path().join("nfdump"), folder.path().join("pid"));
    let body =
        format!("#!/bin/sh\n[ \"$1\" = -V ] && exit 0\necho $$ > {}\necho ts\nexec sleep 600\n", pid_file.display());
    fs::write(&script, body).expect("a script");
    let made = Command::new("chmod").arg("+x").arg(&script).status().expect("chmod runs");
    assert!(made.success());
    let sample = path(&collector.join("nfcapd.sample"));
    let table = create("nfcapd", &[("path", sample.as_str())]).among(with_program(&path(&script))).table();
    let table = table.expect("a table");
    let mut source = table.source(&no_columns(), WHOLE).expect("a source");
    let split = source.splits().expect("one")[0].clone();
    source.assign(&split, davy_engine::log::Position(0)).expect("its split");
    let started = std::time::Instant::now();
    while !fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')) {
        assert!(started.elapsed().as_secs() < 20, "the program does not start");
        source.poll().expect("nothing yet");
    }
    let process = format!("/proc/{}", fs::read_to_string(&pid_file).expect("a pid").trim());
    assert!(Path::new(&process).exists());
    drop(source);
    assert!(!Path::new(&process).exists(), "killed and waited for");
}

#[test]
fn the_engine_decodes_every_record_and_counts_the_bad_file() {
    let Some(collector) = fixtures("collector").filter(|_| has_nfdump()) else { return };
    let names = ["te", "sa", "ipkt"].map(str::to_owned);
    let types = [DataType::Utf8, DataType::Utf8, DataType::Int64];
    let fields = names.iter().zip(types).enumerate().map(|(index, (name, data_type))| DecodeField {
        name: name.clone(),
        data_type,
        nullable: true,
        from: FieldFrom::Column(index),
    });
    let spec = DecodeSpec { declared: names.to_vec().into(), fields: fields.collect() };
    let nfdump = format("csv", &[("csv.columns", "nfdump")]);
    for (name, n_rows, n_bad) in [("nfcapd.sample", 3018, 0), ("nfcapd-corrupt", 0, 1), ("nfcapd-empty", 0, 0)] {
        let mut decoder = nfdump.decoder(spec.clone()).expect("a decoder");
        let mut bad = Vec::new();
        decoder
            .push(read_text(table(&collector.join(name), &[]).as_ref()).as_bytes(), &mut bad)
            .expect("the split fits the table");
        assert_eq!((decoder.rows(), bad.len()), (n_rows, n_bad), "{name}: {bad:?}");
    }
}
