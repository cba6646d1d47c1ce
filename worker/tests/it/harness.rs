//! Makes tables as the planner would, and reads them as a task would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use davy_engine::Result;
use davy_engine::connector::{Connectors, Share, Table, TableRequest};
use davy_engine::format::Format;
use davy_engine::log::{Fetched, Payload, Polled, Position, Source, SplitId};
use davy_engine::options::Options;
use davy_worker::connector::LocalConnectors;

pub(crate) const WHOLE: Share = Share { index: 0, count: 1 };

/// `CREATE TABLE t (columns) WITH (connector, format, options)`.
pub(crate) struct Create<'a> {
    pub(crate) connector: &'a str,
    pub(crate) connectors: LocalConnectors,
    pub(crate) format: Option<Format>,
    pub(crate) columns: Vec<FieldRef>,
    pub(crate) options: Vec<(&'a str, String)>,
}

pub(crate) fn create<'a>(connector: &'a str, options: &[(&'a str, &str)]) -> Create<'a> {
    let options = options.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Create { connector, connectors: LocalConnectors::default(), format: None, columns: Vec::new(), options }
}

impl Create<'_> {
    /// As a process that was started with these.
    pub(crate) fn among(mut self, connectors: LocalConnectors) -> Self {
        self.connectors = connectors;
        self
    }

    pub(crate) fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    pub(crate) fn columns(mut self, schema: &SchemaRef) -> Self {
        self.columns = schema.fields().to_vec();
        self
    }

    /// The table, with every option consumed.
    pub(crate) fn table(&self) -> Result<Arc<dyn Table>> {
        let mut options = Options::new("t");
        for (name, value) in &self.options {
            options.set(*name, value.clone(), None);
        }
        let request =
            TableRequest { connector: self.connector, name: "t", columns: &self.columns, format: self.format.as_ref() };
        let table = self.connectors.table(request, &mut options)?;
        options.finish()?;
        Ok(table)
    }

    /// The error that the table is refused with.
    pub(crate) fn refusal(&self) -> String {
        match self.table() {
            Ok(table) => format!("accepted: {table:?}"),
            Err(error) => error.to_string(),
        }
    }
}

pub(crate) fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

pub(crate) fn no_columns() -> SchemaRef {
    schema(&[])
}

/// Reads every split of `share` from its beginning to its end.
pub(crate) fn read(table: &dyn Table, schema: &SchemaRef, share: Share) -> Result<Vec<Fetched>> {
    let mut source = table.source(schema, share)?;
    for split in source.splits()? {
        source.assign(&split, Position(0))?;
    }
    read_on(source.as_mut())
}

/// Reads what is assigned to its end, and checks what every source promises.
pub(crate) fn read_on(source: &mut dyn Source) -> Result<Vec<Fetched>> {
    let mut pieces: Vec<Fetched> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "reading does not end");
        match source.poll()? {
            Polled::Data(piece) => pieces.push(piece),
            Polled::Pending => {}
            Polled::End => break,
        }
    }
    let mut at: BTreeMap<SplitId, (Position, bool)> = BTreeMap::new();
    for piece in &pieces {
        let (next, has_ended) = *at.get(&piece.split).unwrap_or(&(piece.start, false));
        assert!(!has_ended, "{}: a piece after the end", piece.split);
        assert_eq!(piece.start, next, "{}: pieces are gapless", piece.split);
        at.insert(piece.split.clone(), (piece.next, piece.end_of_split));
    }
    assert!(at.values().all(|(_, has_ended)| *has_ended), "every split ends");
    Ok(pieces)
}

/// All bytes of the pieces.
pub(crate) fn bytes(pieces: &[Fetched]) -> Vec<u8> {
    let mut all = Vec::new();
    for piece in pieces {
        match &piece.payload {
            Payload::Bytes(bytes) => all.extend_from_slice(bytes),
            other => panic!("bytes were expected, not {other:?}"),
        }
    }
    all
}

pub(crate) fn text(pieces: &[Fetched]) -> String {
    String::from_utf8(bytes(pieces)).expect("text")
}

/// All rows of the pieces, in their order.
pub(crate) fn rows(pieces: &[Fetched]) -> RecordBatch {
    let batches: Vec<RecordBatch> = pieces.iter().map(batch).cloned().collect();
    concat_batches(batches[0].schema_ref(), &batches).expect("one schema")
}

pub(crate) fn batch(piece: &Fetched) -> &RecordBatch {
    match &piece.payload {
        Payload::Batch(batch) => batch,
        other => panic!("a batch was expected, not {other:?}"),
    }
}

/// At every piece of a split: stops there, resumes on a fresh source, and wants what one read gave.
pub(crate) fn check_resume(table: &dyn Table, schema: &SchemaRef) {
    let whole = read(table, schema, WHOLE).expect("a full read");
    for (index, stop) in whole.iter().enumerate() {
        let mut source = table.source(schema, WHOLE).expect("a fresh source");
        source.assign(&stop.split, stop.next).expect("a position it gave itself");
        let rest = read_on(source.as_mut()).expect("the rest");
        let later: Vec<Fetched> =
            whole[index + 1..].iter().filter(|piece| piece.split == stop.split).cloned().collect();
        if stop.end_of_split {
            assert!(is_empty(&rest), "{}: nothing follows the end", stop.split);
        } else if table.reads_bytes() {
            assert_eq!(bytes(&rest), bytes(&later), "{} from {:?}", stop.split, stop.next);
        } else {
            assert_eq!(rows(&rest), rows(&later), "{} from {:?}", stop.split, stop.next);
        }
    }
}

fn is_empty(pieces: &[Fetched]) -> bool {
    pieces.iter().all(|piece| match &piece.payload {
        Payload::Bytes(bytes) => bytes.is_empty(),
        Payload::Batch(batch) => batch.num_rows() == 0,
        Payload::Nothing => true,
        Payload::Partials(_) | Payload::Piece { .. } | Payload::Remnant => false,
    })
}

/// A path as an option's value.
pub(crate) fn path(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// What is in a folder, hidden files too, sorted.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The shared captures, where this machine has them.
pub(crate) fn fixtures(what: &str) -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("DAVY_TEST_DATA").map_or_else(beside, PathBuf::from);
    let folder = root.join("fixtures").join(what);
    if folder.is_dir() {
        return Some(folder);
    }
    left_out(&format!("`{}` is not here", folder.display()));
    None
}

/// Says which cases this machine cannot run.
#[allow(clippy::print_stdout, reason = "the test harness shows it with the test")]
pub(crate) fn left_out(why: &str) {
    println!("left out: {why}");
}

/// `format = 'raw_string'`.
pub(crate) fn raw() -> Format {
    format("raw_string", &[])
}

/// A format with its options.
pub(crate) fn format(name: &str, options: &[(&str, &str)]) -> Format {
    let mut given = Options::new("t");
    for (name, value) in options {
        given.set(*name, *value, None);
    }
    Format::from_options(name, &mut given).expect("a format")
}
