//! `filesystem`: shares of many files, and files that roll.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use davy_engine::connector::{Share, Table};

use crate::harness::{WHOLE, check_resume, create, names_in, no_columns, path, raw, read, text};

fn words(words: &[&str]) -> RecordBatch {
    RecordBatch::try_from_iter([("word", Arc::new(StringArray::from(words.to_vec())) as ArrayRef)]).expect("a column")
}

fn table_of(folder: &Path, options: &[(&str, &str)]) -> Arc<dyn Table> {
    let folder = path(folder);
    let options = [&[("path", folder.as_str())], options].concat();
    create("filesystem", &options).format(raw()).table().expect("a table")
}

#[test]
fn shares_read_every_file_once() {
    let folder = tempfile::tempdir().expect("temp dir");
    for n in 0..7 {
        fs::write(folder.path().join(format!("{n}.txt")), format!("line {n}\nsecond {n}\n")).expect("a file");
    }
    let table = table_of(folder.path(), &[("type", "source"), ("read_bytes", "9 B")]);
    let whole = text(&read(table.as_ref(), &no_columns(), WHOLE).expect("read"));
    assert!(whole.starts_with("line 0\nsecond 0\nline 1\n"), "{whole}");
    let mut lines: Vec<String> = Vec::new();
    for index in 0..3 {
        let share = text(&read(table.as_ref(), &no_columns(), Share { index, count: 3 }).expect("read"));
        lines.extend(share.lines().map(str::to_owned));
    }
    lines.sort();
    let mut expected: Vec<&str> = whole.lines().collect();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    check_resume(table.as_ref(), &no_columns());
}

#[test]
fn a_share_without_files_ends_at_once() {
    let folder = tempfile::tempdir().expect("temp dir");
    fs::write(folder.path().join("a.txt"), "a\n").expect("a file");
    let table = table_of(folder.path(), &[("type", "source")]);
    assert!(read(table.as_ref(), &no_columns(), Share { index: 1, count: 2 }).expect("read").is_empty());
}

#[test]
fn full_files_appear_and_growing_ones_stay_hidden() {
    let folder = tempfile::tempdir().expect("temp dir");
    let table = table_of(folder.path(), &[("type", "sink"), ("rollover_rows", "3")]);
    let mut sink = table.sink(&words(&[]).schema()).expect("a sink");
    sink.commit().expect("nothing to commit");
    assert!(names_in(folder.path()).is_empty(), "no rows, no file");
    sink.write(&words(&["a", "b"])).expect("staged");
    assert!(names_in(folder.path()).is_empty(), "staged is not written");
    sink.commit().expect("committed");
    assert_eq!(names_in(folder.path()), [".part-000-000000.txt.tmp"]);
    sink.write(&words(&["aborted"])).expect("staged");
    sink.abort().expect("aborted");
    sink.write(&words(&["c", "d"])).expect("staged");
    sink.commit().expect("committed");
    assert_eq!(names_in(folder.path()), ["part-000-000000.txt"]);
    sink.write(&words(&["e"])).expect("staged");
    sink.commit().expect("committed");
    sink.finish().expect("finished");
    assert_eq!(names_in(folder.path()), ["part-000-000000.txt", "part-000-000001.txt"]);
    let source = table_of(folder.path(), &[("type", "source")]);
    let read_back = read(source.as_ref(), &no_columns(), WHOLE).expect("read");
    assert_eq!(text(&read_back), "a\nb\nc\nd\ne\n");
}

#[test]
fn nothing_that_exists_is_written_over() {
    let folder = tempfile::tempdir().expect("temp dir");
    fs::write(folder.path().join("part-000-000000.txt"), "older\n").expect("a file");
    fs::write(folder.path().join(".part-000-000001.txt.tmp"), "of a killed process\n").expect("a file");
    let table = table_of(folder.path(), &[("type", "sink")]);
    let mut sink = table.sink(&words(&[]).schema()).expect("a sink");
    let mut other = table.sink(&words(&[]).schema()).expect("another task's");
    for sink in [&mut sink, &mut other] {
        sink.write(&words(&["new"])).expect("staged");
        sink.commit().expect("committed");
        sink.finish().expect("finished");
    }
    let expected = [".part-000-000001.txt.tmp", "part-000-000000.txt", "part-000-000002.txt", "part-001-000000.txt"];
    assert_eq!(names_in(folder.path()), expected);
    assert_eq!(fs::read_to_string(folder.path().join("part-000-000000.txt")).expect("a file"), "older\n");
}

#[test]
fn compressed_files_say_so_and_read_back() {
    for (compression, name) in [("gzip", "part-000-000000.txt.gz"), ("zstd", "part-000-000000.txt.zst")] {
        let folder = tempfile::tempdir().expect("temp dir");
        let written =
            table_of(&folder.path().join("made/with/its/parents"), &[("type", "sink"), ("compression", compression)]);
        let mut sink = written.sink(&words(&[]).schema()).expect("a sink");
        sink.write(&words(&["a", "b"])).expect("staged");
        sink.commit().expect("committed");
        sink.finish().expect("finished");
        assert_eq!(names_in(&folder.path().join("made/with/its/parents")), [name]);
        let source = table_of(&folder.path().join("**/*.txt*"), &[("type", "source")]);
        assert_eq!(text(&read(source.as_ref(), &no_columns(), WHOLE).expect("read")), "a\nb\n");
    }
}
