//! `single_file`: formats, compression, resuming, atomic writing.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use davy_engine::connector::Table;
use davy_engine::format::Format;
use davy_engine::log::{Position, SplitId};
use flate2::write::GzEncoder;

use crate::harness::{WHOLE, check_resume, create, names_in, no_columns, path, raw, read, read_on, rows, schema, text};

fn table(file: &Path, format: Format, read_bytes: &str) -> Arc<dyn Table> {
    let options = [("path", path(file)), ("read_bytes", read_bytes.to_owned())];
    let options: Vec<(&str, &str)> = options.iter().map(|(name, value)| (*name, value.as_str())).collect();
    create("single_file", &options).format(format).table().expect("a table")
}

fn lines(n: usize) -> String {
    (0..n).map(|n| format!("row {n},{}\n", "x".repeat(n % 50))).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory")
}

#[test]
fn a_broken_or_cut_off_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().expect("temp dir");
    let content = lines(2000);
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let cases = [
        ("cut.gz", cut(gzip(content.as_bytes())), raw()),
        ("cut.zst", cut(zstd(content.as_bytes())), raw()),
        ("no.gz", content.clone().into_bytes(), raw()),
        ("no.zst", content.clone().into_bytes(), raw()),
        ("no.parquet", content.clone().into_bytes(), Format::Parquet),
        ("no.arrow", content.into_bytes(), Format::Arrow),
        ("empty.parquet", Vec::new(), Format::Parquet),
    ];
    for (name, bytes, format) in cases {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("a file");
        let error = read(table(&file, format, "4MiB").as_ref(), &no_columns(), WHOLE).expect_err(name);
        assert!(matches!(error, davy_engine::Error::Invalid(_)), "{name}: {error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_file_shorter_than_its_position_is_not_the_file_that_was_read() {
    let folder = tempfile::tempdir().expect("temp dir");
    for (name, bytes) in [("a.csv", b"a\nb\n".to_vec()), ("a.csv.gz", gzip(b"a\nb\n")), ("a.csv.zst", zstd(b"a\nb\n"))]
    {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("a file");
        let mut source = table(&file, raw(), "4MiB").source(&no_columns(), WHOLE).expect("a source");
        source.assign(&SplitId::from(path(&file).as_str()), Position(5)).expect("its split");
        let error = source.poll().expect_err("too short").to_string();
        assert!(error.contains("has 4 bytes, but 5 were read before"), "{error}");
    }
}

#[test]
fn lines_resume_after_any_piece_with_their_header() {
    let folder = tempfile::tempdir().expect("temp dir");
    let content = format!("name,pad\r\n{}last without end", lines(300));
    let two_members = [gzip(&content.as_bytes()[..5000]), gzip(&content.as_bytes()[5000..])].concat();
    let two_frames = [zstd(&content.as_bytes()[..5000]), zstd(&content.as_bytes()[5000..])].concat();
    for (name, bytes) in [("a.csv", content.clone().into_bytes()), ("a.csv.gz", two_members), ("a.csv.zst", two_frames)]
    {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("a file");
        let table = table(&file, raw(), "700 B");
        let pieces = read(table.as_ref(), &no_columns(), WHOLE).expect("read");
        assert_eq!(text(&pieces), content, "{name}");
        assert!(pieces.len() > 5 && pieces[0].preamble.is_none(), "{name}");
        check_resume(table.as_ref(), &no_columns());
        let mut source = table.source(&no_columns(), WHOLE).expect("a source");
        source.assign(&pieces[1].split, pieces[1].start).expect("its split");
        let resumed = read_on(source.as_mut()).expect("read");
        assert_eq!(resumed[0].preamble.as_deref(), Some(&b"name,pad"[..]), "{name}");
        assert!(resumed[1].preamble.is_none(), "{name}: the header is given once");
    }
}

#[test]
fn assigning_again_gives_up_what_was_read_ahead() {
    let folder = tempfile::tempdir().expect("temp dir");
    let file = folder.path().join("a.csv");
    fs::write(&file, lines(100)).expect("a file");
    let mut source = table(&file, raw(), "100 B").source(&no_columns(), WHOLE).expect("a source");
    let split = source.splits().expect("one")[0].clone();
    source.assign(&split, Position(0)).expect("its split");
    source.poll().expect("a piece");
    source.assign(&split, Position(0)).expect("its split");
    assert_eq!(text(&read_on(source.as_mut()).expect("read")), lines(100));
}

#[test]
fn an_empty_file_ends_at_once() {
    let folder = tempfile::tempdir().expect("temp dir");
    let file = folder.path().join("a.csv");
    fs::write(&file, "").expect("a file");
    let pieces = read(table(&file, raw(), "4MiB").as_ref(), &no_columns(), WHOLE).expect("read");
    assert_eq!((pieces.len(), text(&pieces).as_str()), (1, ""));
}

#[test]
fn a_line_longer_than_memory_should_hold_comes_shortened() {
    let folder = tempfile::tempdir().expect("temp dir");
    let file = folder.path().join("a.csv");
    let content = ["a\n".to_owned(), "x".repeat(70 << 20), "\nb\n".to_owned()].concat();
    fs::write(&file, &content).expect("a file");
    let pieces = read(table(&file, raw(), "4MiB").as_ref(), &no_columns(), WHOLE).expect("read");
    let lengths: Vec<usize> =
        pieces.iter().map(|piece| crate::harness::bytes(std::slice::from_ref(piece)).len()).collect();
    assert_eq!(lengths, [2, 64 << 20, 2]);
    assert_eq!(pieces[1].next.0, content.len() as u64 - 2);
}

fn flows() -> RecordBatch {
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..70_000));
    let name: ArrayRef = Arc::new(StringArray::from_iter_values((0..70_000).map(|n| format!("host {}", n % 7))));
    RecordBatch::try_from_iter([("n", n), ("name", name)]).expect("two columns")
}

fn requested() -> SchemaRef {
    schema(&[("name", DataType::Utf8), ("n", DataType::Int32)])
}

#[test]
fn batches_come_projected_cast_and_resume_at_any_row() {
    let folder = tempfile::tempdir().expect("temp dir");
    let stream = folder.path().join("stream.arrow");
    let mut writer =
        StreamWriter::try_new(File::create(&stream).expect("a file"), &flows().schema()).expect("a stream");
    for from in [0, 30_000] {
        writer.write(&flows().slice(from, if from == 0 { 30_000 } else { 40_000 })).expect("written");
    }
    writer.finish().expect("written");
    write(&folder.path().join("f.arrow"), Format::Arrow, &[flows()]);
    write(&folder.path().join("f.parquet"), Format::Parquet, &[flows()]);
    for (name, format) in [("stream.arrow", Format::Arrow), ("f.arrow", Format::Arrow), ("f.parquet", Format::Parquet)]
    {
        let table = table(&folder.path().join(name), format, "4MiB");
        assert!(!table.reads_bytes());
        let all = rows(&read(table.as_ref(), &requested(), WHOLE).expect(name));
        assert_eq!((all.num_rows(), all.schema()), (70_000, requested()), "{name}");
        assert!(crate::harness::batch(&read(table.as_ref(), &no_columns(), WHOLE).expect(name)[0]).num_rows() > 0);
        let mut source = table.source(&requested(), WHOLE).expect("a source");
        let split = source.splits().expect("one")[0].clone();
        source.assign(&split, Position(41_234)).expect("its split");
        assert_eq!(rows(&read_on(source.as_mut()).expect("the rest")), all.slice(41_234, 70_000 - 41_234), "{name}");
        let missing = schema(&[("nmae", DataType::Utf8)]);
        let error = read(table.as_ref(), &missing, WHOLE).expect_err("no such column").to_string();
        assert!(error.contains("has no column `nmae`; its columns are `n`, `name`"), "{error}");
    }
}

fn write(file: &Path, format: Format, batches: &[RecordBatch]) {
    let mut sink = table(file, format, "4MiB").sink(&batches[0].schema()).expect("a sink");
    for batch in batches {
        sink.write(batch).expect("staged");
        sink.commit().expect("committed");
    }
    sink.finish().expect("published");
}

#[test]
fn what_is_written_compressed_reads_back() {
    let folder = tempfile::tempdir().expect("temp dir");
    let words = StringArray::from_iter_values((0..5000).map(|n| format!("word {n}")));
    let batch = RecordBatch::try_from_iter([("word", Arc::new(words) as ArrayRef)]).expect("a column");
    let expected: String = (0..5000).map(|n| format!("word {n}\n")).collect();
    for name in ["w.txt", "w.txt.gz", "w.txt.zst"] {
        let file = folder.path().join(name);
        write(&file, raw(), &[batch.slice(0, 2000), batch.slice(2000, 3000)]);
        let pieces = read(table(&file, raw(), "4MiB").as_ref(), &no_columns(), WHOLE).expect("read");
        assert_eq!(text(&pieces), expected, "{name}");
    }
    assert!(fs::metadata(folder.path().join("w.txt.gz")).expect("a file").len() < expected.len() as u64 / 2);
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("temp dir");
    let file = folder.path().join("out.txt");
    fs::write(&file, "old\n").expect("a file");
    let words = |word: &str| {
        RecordBatch::try_from_iter([("w", Arc::new(StringArray::from(vec![word])) as ArrayRef)]).expect("a column")
    };
    let table = table(&file, raw(), "4MiB");
    let mut sink = table.sink(&words("").schema()).expect("a sink");
    let second = table.sink(&words("").schema()).map(|_| "opened").map_err(|error| error.to_string());
    assert!(second.expect_err("one writer only").contains("can be written by one task only"));
    sink.write(&words("kept")).expect("staged");
    sink.commit().expect("committed");
    sink.write(&words("aborted")).expect("staged");
    sink.abort().expect("aborted");
    assert_eq!(names_in(folder.path()), [".out.txt.part", "out.txt"]);
    assert_eq!(fs::read_to_string(&file).expect("a file"), "old\n");
    sink.finish().expect("published");
    drop(sink);
    assert_eq!(names_in(folder.path()), ["out.txt"]);
    assert_eq!(fs::read_to_string(&file).expect("a file"), "kept\n");
    drop(table.sink(&words("").schema()).expect("free again"));
    assert_eq!(names_in(folder.path()), ["out.txt"], "a sink that is given up leaves nothing");
}

#[test]
fn a_folder_that_goes_away_is_unavailable() {
    let folder = tempfile::tempdir().expect("temp dir");
    let file = folder.path().join("sub").join("out.arrow");
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    let table = table(&file, Format::Arrow, "4MiB");
    fs::remove_dir(folder.path().join("sub")).expect("empty");
    let error = table.sink(&flows().schema()).map(|_| ()).expect_err("no folder");
    assert!(matches!(error, davy_engine::Error::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("out.arrow"), "{error}");
}
