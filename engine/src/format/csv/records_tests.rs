//! Records of more than one line: files that are read as a whole, and messages that are one row.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use proptest::prelude::*;

use super::super::{DecodeField, DecodeSpec, Decoder, FieldFrom, Format};
use super::{CsvOptions, Records};

fn options(records: Records) -> CsvOptions {
    CsvOptions { records, max_record_bytes: 64, ..CsvOptions::default() }
}

/// A decoder of so many columns of text.
fn decoder(options: &CsvOptions, n_columns: usize) -> Box<dyn Decoder> {
    let declared: Vec<String> = (0..n_columns).map(|index| format!("c{index}")).collect();
    let field = |(index, name): (usize, &String)| DecodeField {
        name: name.clone(),
        data_type: DataType::Utf8,
        nullable: true,
        from: FieldFrom::Column(index),
    };
    let fields = declared.iter().enumerate().map(field).collect();
    options.decoder(&DecodeSpec { declared: declared.into(), fields }).expect("a decoder")
}

/// A row per line, null as `∅`; then what bad records say of themselves.
fn shown(
    decoder: &mut dyn Decoder,
    decode: impl FnOnce(&mut dyn Decoder, &mut Vec<super::super::BadRecord>),
) -> String {
    let mut bad = Vec::new();
    decode(decoder, &mut bad);
    let batch = decoder.finish().expect("a batch");
    let cell = |row: usize, column: usize| {
        let texts = batch.column(column).as_any().downcast_ref::<StringArray>().expect("text");
        if arrow::array::Array::is_null(texts, row) { "∅".to_owned() } else { format!("{:?}", texts.value(row)) }
    };
    let row = |row: usize| (0..batch.num_columns()).map(|column| cell(row, column)).collect::<Vec<_>>().join("|");
    let mut lines: Vec<String> = (0..batch.num_rows()).map(row).collect();
    lines.extend(bad.iter().map(|bad| format!("! {} {:?}", bad.reason.label(), String::from_utf8_lossy(&bad.bytes))));
    lines.join("; ")
}

fn of_file(records: Records, n_columns: usize, pieces: &[&[u8]]) -> String {
    shown(&mut *decoder(&options(records), n_columns), |decoder, bad| {
        pieces.iter().for_each(|piece| decoder.push(piece, bad).expect("the file fits the table"));
    })
}

#[test]
fn a_line_end_in_quotes_is_data_of_a_file() {
    let cases: &[(usize, &str, &str)] = &[
        (2, "a,\"two\nlines\"\nb,c\n", r#""a"|"two\nlines"; "b"|"c""#),
        (2, "\"1\r\n2\",x\r\n\"\n\n\",y", r#""1\r\n2"|"x"; "\n\n"|"y""#),
        (2, "\"a\"\"\nb\",c\nd,e", r#""a\"\nb"|"c"; "d"|"e""#),
        (1, "\"a,\nb\"\nc\n", r#""a,\nb"; "c""#),
        (2, "\u{feff}\"a\nb\",c\n", r#""a\nb"|"c""#),
        (2, "\"a\\\",\"\nb\"\n\"c,d\\\\e\"\n", r#""a\\"|"\nb"; "c"|"d\\e""#),
        (2, "a,\"é\n€\"\n", r#""a"|"é\n€""#),
    ];
    for (n_columns, input, wanted) in cases {
        assert_eq!(of_file(Records::Quoted, *n_columns, &[input.as_bytes()]), *wanted, "{input:?}");
    }
}

#[test]
fn a_stray_quote_costs_its_own_line() {
    let cases: &[(&str, &str)] = &[
        ("\"a,b\nc,d\n\"e\",f\n", r#""c"|"d"; "e"|"f"; ! malformed "\"a,b""#),
        ("\"a,b\nc,d\n", r#""c"|"d"; ! malformed "\"a,b""#),
        ("\"a\"x,b\nc,d\n", r#""c"|"d"; ! malformed "\"a\"x,b""#),
        ("a\"b,c\nd\"e,f\n", r#""a\"b"|"c"; "d\"e"|"f""#),
        ("\"a,b\nnul\0\",d\ne,f\n", r#""e"|"f"; ! nul "\"a,b\nnul\0\",d""#),
        ("\"a,b\\n1\n\"x,y\"\n", r#""x"|"y"; ! malformed "\"a,b\\n1""#),
    ];
    for (input, wanted) in cases {
        assert_eq!(of_file(Records::Quoted, 2, &[input.as_bytes()]), *wanted, "{input:?}");
    }
    let long = format!("\"a\n{}\",b\nc,d\n", "x".repeat(64));
    let wanted = format!(r#"{:?}|"b"; "c"|"d"; ! malformed "\"a""#, format!("{}\"", "x".repeat(64)));
    let found = of_file(Records::Quoted, 2, &[long.as_bytes()]);
    assert!(found.contains(r#""c"|"d""#) && found.contains(r#"! malformed "\"a""#), "{found}, not {wanted}");
}

#[test]
fn elsewhere_a_line_end_ends_a_row_in_quotes_too() {
    let wanted = r#""b"|"c"; ! malformed "a,\"two"; ! malformed "lines\"""#;
    let found = of_file(Records::Lines, 2, &[b"a,\"two\nlines\"\nb,c\n"]);
    assert_eq!(found.replace("too_short", "malformed"), wanted);
}

#[test]
fn a_line_of_nothing_but_a_bom_is_an_empty_line() {
    assert_eq!(of_file(Records::Quoted, 1, &["\u{feff}\u{feff}\na\n\u{feff}\n".as_bytes()]), r#""a""#);
}

/// A file in two pieces, cut as its reader does when it has read up to `read`.
fn in_pieces(text: &[u8], n_columns: usize, read: usize) -> String {
    let framing = options(Records::Quoted).framing(n_columns);
    let end = framing.whole_records(&text[..read]).unwrap_or(0);
    of_file(Records::Quoted, n_columns, &[&text[..end], &text[end..]])
}

#[test]
fn a_file_may_be_cut_anywhere() {
    let text =
        "a,\"two\nlines\"\n\"x\"\"\r\n\n\",y\r\n\"stray,b\nc,\"d\"\n\"e\n\",\"f\ng\"\nh,\"open\ni,j\n".as_bytes();
    let whole = of_file(Records::Quoted, 2, &[text]);
    assert_eq!(whole.matches(';').count(), 6, "{whole}");
    for read in 0..=text.len() {
        assert_eq!(in_pieces(text, 2, read), whole, "after {read} bytes");
    }
}

fn of_messages(messages: &[&str], n_columns: usize) -> String {
    let mut ends = Vec::new();
    let data = messages.iter().fold(Vec::new(), |mut data, message| {
        data.extend_from_slice(message.as_bytes());
        data.push(b'\n');
        ends.push(data.len() as u32);
        data
    });
    shown(&mut *decoder(&options(Records::Messages), n_columns), |decoder, bad| {
        decoder.push_messages(&data, &ends, bad).expect("messages");
    })
}

#[test]
fn a_message_may_be_one_row() {
    let cases: &[(&[&str], &str)] = &[
        (&["a,b", "c,\"d\ne\"", "f,g\r\n\n"], r#""a"|"b"; "c"|"d\ne"; "f"|"g""#),
        (&["a,b\nc,d", "e,f"], r#""e"|"f"; ! malformed "a,b\nc,d""#),
        (&["\"a\",b\nc,d", "e,f"], r#""e"|"f"; ! malformed "\"a\",b\nc,d""#),
        (&["a,\"b\nc", "d,\"e\""], r#""d"|"e"; ! malformed "a,\"b\nc""#),
        (&["\"1,x\\n2,y\\n\"", "\"3,z\""], r#""3"|"z"; ! malformed "1,x\n2,y""#),
        (&["\"a\n\"\"\n\",\"\n\""], r#""a\n\"\n"|"\n""#),
    ];
    for (messages, wanted) in cases {
        assert_eq!(of_messages(messages, 2), *wanted, "{messages:?}");
    }
}

#[test]
fn several_rows_in_a_message_of_one_say_so() {
    let mut bad = Vec::new();
    decoder(&options(Records::Messages), 2).push_messages(b"a,b\nc,d\n", &[8], &mut bad).expect("messages");
    assert_eq!(bad[0].detail, "several rows in a message, where csv.rows_per_message = 'one'");
}

#[test]
fn a_header_has_no_place_in_a_message_of_one_row() {
    let mut options = crate::options::Options::new("t");
    options.set("csv.rows_per_message", "one", None);
    options.set("csv.columns", "header", None);
    let error = Format::from_options("csv", &mut options).expect_err("refused").to_string();
    assert!(error.contains("no room for a header"), "{error}");
}

fn batch(rows: &[Vec<Option<String>>], n_columns: usize) -> RecordBatch {
    let fields: Vec<Field> =
        (0..n_columns).map(|index| Field::new(format!("c{index}"), DataType::Utf8, true)).collect();
    let column = |index: usize| -> arrow::array::ArrayRef {
        Arc::new(rows.iter().map(|row| row[index].as_deref()).collect::<StringArray>())
    };
    RecordBatch::try_new(Arc::new(Schema::new(fields)), (0..n_columns).map(column).collect()).expect("a batch")
}

/// Bytes of which CSV is made, and a few that mean nothing to it.
fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["\"", "\n", "\r", ",", " ", "a", "\\", "é", "\u{feff}", "{"]), 0..6)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_may_be_cut_anywhere(parts in prop::collection::vec(text(), 0..12), n_columns in 1usize..3) {
        let text = parts.join("\n").into_bytes();
        let whole = of_file(Records::Quoted, n_columns, &[&text]);
        for read in 0..=text.len() {
            prop_assert_eq!(&in_pieces(&text, n_columns, read), &whole, "after {} bytes of {:?}", read, parts);
        }
    }

    #[test]
    fn what_is_written_reads_back(
        rows in prop::collection::vec(prop::collection::vec(prop::option::of(text()), 3), 0..6),
        n_columns in 1usize..=3,
    ) {
        let rows: Vec<Vec<Option<String>>> = rows.into_iter().map(|row| row[..n_columns].to_vec()).collect();
        let cell = |cell: &Option<String>| cell.as_ref().map_or("∅".to_owned(), |text| format!("{text:?}"));
        let wanted: Vec<String> =
            rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("|")).collect();
        let mut written = Vec::new();
        let batch = batch(&rows, n_columns);
        let mut encoder = CsvOptions::default().encoder(&batch.schema()).expect("an encoder");
        encoder.encode(&batch, &mut written).expect("written");
        prop_assert_eq!(of_file(Records::Quoted, n_columns, &[&written]), wanted.join("; "));
        let mut messages = Vec::new();
        for row in 0..batch.num_rows() {
            let mut message = Vec::new();
            encoder.encode(&batch.slice(row, 1), &mut message).expect("written");
            messages.push(String::from_utf8(message).expect("UTF-8").trim_end_matches('\n').to_owned());
        }
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        prop_assert_eq!(of_messages(&messages, n_columns), wanted.join("; "));
    }
}
