//! What is sent arrives, and damage does not.

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};

use super::*;

fn schema() -> SchemaRef {
    let pane = Field::new("__pane", DataType::Int64, false);
    Arc::new(Schema::new(vec![pane, Field::new("key", DataType::Utf8, true)]))
}

fn partials(n_rows: i64) -> Partials {
    let keys = (0..n_rows).map(|row| (row % 3 != 0).then(|| format!("key {row}")));
    let batch = RecordBatch::try_new(
        schema(),
        vec![Arc::new(Int64Array::from_iter_values(0..n_rows)), Arc::new(StringArray::from_iter(keys))],
    );
    let watermarks = BTreeMap::from([
        (SplitId::from("flows/0"), SplitTime::Active(Watermark(17))),
        (SplitId::from("flows/1"), SplitTime::Idle(Watermark::MIN)),
    ]);
    Partials { sender: 1, senders: 3, batch: Some(batch.expect("rows")), watermarks: Arc::new(watermarks) }
}

fn encode(partials: &Partials, max_bytes: usize) -> Vec<Record> {
    let mut records = Vec::new();
    Wire::new(schema()).expect("plain").encode(partials, max_bytes, &mut records).expect("encoded");
    records
}

fn reader() -> WireReader {
    WireReader::new(Wire::new(schema()).expect("plain"))
}

fn split() -> SplitId {
    SplitId::from("x/0")
}

fn decode(record: &Record) -> Result<Partials> {
    match reader().decode(&split(), &record.header, &record.value)? {
        Payload::Partials(partials) => Ok(partials),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_sent_arrives() {
    for sent in [partials(5), partials(0), Partials { batch: None, ..partials(0) }] {
        let records = encode(&sent, 1 << 20);
        let [record] = records.as_slice() else { panic!("one record") };
        let heard = decode(record).expect("read");
        assert_eq!((heard.sender, heard.senders), (1, 3));
        assert_eq!(heard.watermarks, sent.watermarks);
        assert_eq!(heard.batch, sent.batch);
    }
}

#[test]
fn a_large_batch_is_cut_and_its_watermarks_come_last() {
    let sent = partials(1_000);
    let records = encode(&sent, 4_096);
    assert!(2 < records.len());
    let mut rows = Vec::new();
    for (index, record) in records.iter().enumerate() {
        assert!(record.value.len() <= 4_096);
        let piece = decode(record).expect("read");
        assert_eq!(piece.watermarks.is_empty(), index + 1 < records.len());
        rows.push(piece.batch.expect("rows"));
    }
    let together = arrow::compute::concat_batches(&schema(), &rows).expect("same schema");
    assert_eq!(Some(together), sent.batch, "all rows, in order");
}

#[test]
fn a_row_of_any_size_arrives_in_pieces() {
    let long = RecordBatch::try_new(
        schema(),
        vec![Arc::new(Int64Array::from(vec![7])), Arc::new(StringArray::from(vec!["x".repeat(100_000)]))],
    );
    let long = Partials { batch: Some(long.expect("a row")), ..partials(0) };
    let other = Partials { sender: 2, ..long.clone() };
    let records = encode(&long, 4_096);
    assert!(24 < records.len() && records.iter().all(|record| record.value.len() <= 4_096));
    let mut reader_of_both = reader();
    let mut arrived = Vec::new();
    // The records of two senders lie between each other.
    for (mine, others) in records.iter().zip(encode(&other, 4_096)) {
        for record in [mine, &others] {
            match reader_of_both.decode(&split(), &record.header, &record.value).expect("read") {
                Payload::Piece { sender } => assert!([1, 2].contains(&sender)),
                Payload::Partials(partials) => arrived.push((partials.sender, partials.batch, partials.watermarks)),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(arrived, [long, other].map(|sent| (sent.sender, sent.batch, sent.watermarks)));
    let last = records.last().expect("some");
    let headless = reader().decode(&split(), &last.header, &last.value).expect("read");
    assert!(matches!(headless, Payload::Remnant), "{headless:?}");
}

#[test]
fn damage_is_found_wherever_it_is() {
    let record = encode(&partials(20), 1 << 20).remove(0);
    for at in 0..record.value.len() {
        let mut broken = record.clone();
        broken.value[at] ^= 0x10;
        assert!(decode(&broken).is_err(), "byte {at} of the value");
        let cut = Record { header: record.header.clone(), value: record.value[..at].to_vec() };
        assert!(decode(&cut).is_err(), "cut at {at}");
    }
    for at in 0..record.header.len() {
        let mut broken = record.clone();
        broken.header[at] ^= 2;
        assert!(decode(&broken).is_err(), "byte {at} of the header");
        let cut = Record { header: record.header[..at].to_vec(), value: record.value.clone() };
        assert!(decode(&cut).is_err(), "header cut at {at}");
    }
}

#[test]
fn another_plans_partials_are_refused() {
    let record = encode(&partials(1), 1 << 20).remove(0);
    let other = Arc::new(Schema::new(vec![Field::new("__pane", DataType::Int64, false)]));
    let mut reader = WireReader::new(Wire::new(other).expect("plain"));
    let error = reader.decode(&split(), &record.header, &record.value).expect_err("refused");
    assert!(error.to_string().contains("its schema is `"), "{error}");
}
