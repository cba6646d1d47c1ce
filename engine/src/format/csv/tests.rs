//! Cases as data: input → rows | bad records.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use proptest::prelude::*;

use super::super::{BadReason, BadRecord, DecodeCounts, DecodeField, DecodeSpec, Decoder, FieldFrom, Format};
use crate::options::Options;

/// A decoder of `columns` such as `a int64, b utf8!` (`!` is NOT NULL); `$value` is the record itself.
fn decoder(options: &[(&str, &str)], columns: &str) -> Box<dyn Decoder> {
    try_decoder(options, columns).expect("a decoder")
}

fn try_decoder(options: &[(&str, &str)], columns: &str) -> crate::Result<Box<dyn Decoder>> {
    let mut parsed = Options::new("t");
    options.iter().for_each(|(name, value)| parsed.set(*name, *value, None));
    let format = Format::from_options("csv", &mut parsed)?;
    parsed.finish()?;
    format.decoder(spec(columns))
}

/// The spec of `a int64, -, b utf8!`: `-` is a column that the query does not use.
fn spec(columns: &str) -> DecodeSpec {
    let mut declared = Vec::new();
    let mut fields = Vec::new();
    for column in columns.split(',').map(str::trim).filter(|column| !column.is_empty()) {
        let (name, type_name) = column.split_once(' ').unwrap_or((column, "-"));
        let nullable = !type_name.ends_with('!');
        let from = if name == "$value" { FieldFrom::Value } else { FieldFrom::Column(declared.len()) };
        if type_name != "-" {
            fields.push(DecodeField { name: name.to_owned(), data_type: data_type(type_name), nullable, from });
        }
        if name != "$value" {
            declared.push(name.to_owned());
        }
    }
    DecodeSpec { declared: declared.into(), fields }
}

fn data_type(name: &str) -> DataType {
    match name.trim_end_matches('!') {
        "bool" => DataType::Boolean,
        "i8" => DataType::Int8,
        "i32" => DataType::Int32,
        "i64" => DataType::Int64,
        "u64" => DataType::UInt64,
        "f32" => DataType::Float32,
        "f64" => DataType::Float64,
        "date" => DataType::Date32,
        "ts" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "ms" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "text" => DataType::Utf8,
        "bytes" => DataType::Binary,
        other => panic!("no type {other}"),
    }
}

/// Rows as `a|b; a|b`, null as `∅`; then ` ! ` and the reasons.
fn decode(decoder: &mut dyn Decoder, data: &[u8]) -> String {
    let mut bad = Vec::new();
    decoder.push(data, &mut bad).expect("the split fits the table");
    let counts_before_finish = decoder.counts();
    let rows = decoder.rows() as u64;
    let shown = show(&decoder.finish().expect("a batch"));
    assert_eq!(decoder.rows(), 0);
    assert_eq!(rows + bad.len() as u64 + counts_before_finish.skipped_lines, counts_before_finish.lines);
    let reasons: Vec<&str> = bad.iter().map(|record| record.reason.label()).collect();
    if reasons.is_empty() { shown } else { format!("{shown} ! {}", reasons.join(" ")).trim().to_owned() }
}

fn show(batch: &RecordBatch) -> String {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("∅").with_timestamp_format(Some("%F %T%.f"));
    let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).expect("shown"));
    let columns: Vec<_> = columns.collect();
    let row = |row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|");
    (0..batch.num_rows()).map(row).collect::<Vec<_>>().join("; ")
}

fn check(options: &[(&str, &str)], columns: &str, cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        let actual = decode(&mut *decoder(options, columns), input.as_bytes());
        assert_eq!(&actual, expected, "{columns}: {input:?}");
    }
}

#[test]
fn a_bad_row_has_one_reason_and_leaves_its_neighbours_alone() {
    check(
        &[],
        "a i64!, b f64, c text",
        &[
            ("1,2\n3,4,x\n", "3|4.0|x ! too_short"),
            ("1,2,x\nn,2,y\n3,z,z\n4,,w", "1|2.0|x; 4|∅|w ! wrong_type wrong_type"),
            (",2,x\n", "! missing"),
            ("9223372036854775808,1,x\n-9223372036854775808,1,x", "-9223372036854775808|1.0|x ! wrong_type"),
            ("1,2,x\0y\n2,2,y\n", "2|2.0|y ! nul"),
            ("1,2,\"x\n2,2,y\"\n3,3,z", "2|2.0|y\"; 3|3.0|z ! malformed"),
            ("1,2,\"x\"y\n", "! malformed"),
            ("1,1e999,x\n", "! wrong_type"),
        ],
    );
}

#[test]
fn utf8_matters_only_in_the_text_that_is_used() {
    let data = b"1,\xff,x\n2,y,\xff\n3,\xc3\xa9,z\n";
    assert_eq!(decode(&mut *decoder(&[], "a i64, b text, c -"), data), "2|y; 3|é ! bad_utf8");
    assert_eq!(decode(&mut *decoder(&[], "a i64, b -, c -"), data), "1; 2; 3");
    assert_eq!(decode(&mut *decoder(&[], "a i64, b -, c -, $value text"), data), "3|3,é,z ! bad_utf8 bad_utf8");
    assert_eq!(decode(&mut *decoder(&[], "a -, b bytes, c -"), b"1,\xff,x\n"), "ff");
}

#[test]
fn a_row_that_is_too_long_is_cut_in_the_report_and_the_next_is_read() {
    let mut decoder = decoder(&[("csv.max_record_bytes", "70000")], "a text");
    let data = format!("{}\nshort\n", "x".repeat(70_001));
    let mut bad = Vec::new();
    decoder.push(data.as_bytes(), &mut bad).expect("the split fits the table");
    assert_eq!(decoder.rows(), 1);
    assert_eq!((bad[0].reason, bad[0].bytes.len()), (BadReason::TooLong, BadRecord::MAX_BYTES));
}

#[test]
fn a_bad_record_says_where_and_what() {
    let mut decoder = decoder(&[], "a i64, b i64");
    let mut bad = Vec::new();
    decoder.push(b"1,2\r\n3,6/3/23 12:29\r\n", &mut bad).expect("the split fits the table");
    let expected = BadRecord {
        reason: BadReason::WrongType,
        detail: "column `b`: `6/3/23 12:29` is no Int64".to_owned(),
        offset: 5,
        bytes: b"3,6/3/23 12:29".to_vec(),
    };
    assert_eq!(bad, [expected]);
}

#[test]
fn options_and_types_that_cannot_be_are_refused_by_name() {
    let nested = DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)));
    let field = DecodeField { name: "tags".into(), data_type: nested, nullable: true, from: FieldFrom::Column(0) };
    let format = Format::from_options("csv", &mut Options::new("t")).expect("defaults");
    let error = format.decoder(DecodeSpec { declared: ["tags".into()].into(), fields: vec![field] }).err();
    assert!(error.expect("refused").to_string().starts_with("column `tags`: CSV cannot hold List"));
    let cases = [
        (("csv.columns", "nfdmup"), "option `csv.columns` cannot be `nfdmup`"),
        (("csv.columns", "x,y"), "`csv.columns` lists no column `a`; listed are `x`, `y`"),
        (("csv.columns", "nfdump"), "column `a` is none of nfdump's or the detection system's"),
        (("csv.delimiter", "ab"), "option `csv.delimiter` cannot be `ab`"),
        (("csv.delimiter", "\""), "option `csv.delimiter` cannot be `\"`"),
        (("csv.max_record_bytes", "0"), "option `csv.max_record_bytes` cannot be `0`"),
        (("csv.nul", "-"), "unknown option `csv.nul`"),
    ];
    for (option, expected) in cases {
        let error = try_decoder(&[option], "a i64").err().expect("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let error = Format::from_options("cvs", &mut Options::new("t")).expect_err("unknown").to_string();
    assert_eq!(error, "unknown format `cvs`; valid are `csv`, `json`, `raw_string`, `arrow`, `parquet`");
}

#[test]
fn lines_end_as_they_like() {
    check(
        &[],
        "a i64, b text",
        &[
            ("", ""),
            ("\n\r\n\n", ""),
            ("1,x", "1|x"),
            ("1,x\r\n2,y\r\n", "1|x; 2|y"),
            ("\u{feff}1,x\n", "1|x"),
            ("1,x\n\n2,\r\n", "1|x; 2|∅"),
            (" 7 ,  x y \n", "7|x y"),
            ("\u{feff}1,x\n\u{feff}2,y\n\u{feff}\"3\",z\n", "1|x; 2|y; 3|z"),
        ],
    );
}

/// Options, input or messages, and what is read.
type Case<'a, T> = (&'a [(&'a str, &'a str)], T, &'a str);

#[test]
fn a_row_with_more_columns_than_its_layout_is_bad_unless_they_are_ignored() {
    let cases: [Case<'_, &str>; 4] = [
        (&[("csv.extra_columns", "reject")], "1,x,2\n3,y\n\"4\",z,\n", "3|y ! too_long too_long"),
        (&[("csv.columns", "a,b")], "1,x,2\n3,y\n", "3|y ! too_long"),
        (&[("csv.columns", "header")], "b,a\nx,1,2\ny,3\n", "3|y ! too_long"),
        (&[], "1,x,2\n3,y\n", "1|x; 3|y"),
    ];
    for (options, input, expected) in cases {
        check(options, "a i64, b text", &[(input, expected)]);
    }
    // Three records of nfdump that lost their line ends.
    let glued = [numbered(48), numbered(48), numbered(48)].concat();
    check(&NFDUMP, "sa text", &[(&glued, "! too_long"), (&numbered(74), "3"), (&numbered(75), "! too_long")]);
}

#[test]
fn a_header_without_a_used_column_is_an_error_that_names_both() {
    let cases = [
        ("ts,key,v\n1,a,2\n", "the header `ts,key,v` has no column `k`"),
        ("ts,k,k,v\n1,a,b,2\n", "the header `ts,k,k,v` has more than one column `k`"),
        ("ts,K,k,v\n1,a,b,2\n", ""),
        ("ts,K,v\n1,a,2\n", ""),
    ];
    for (input, expected) in cases {
        let mut decoder = decoder(&[("csv.columns", "header")], "ts i64, k text, v i64");
        let error =
            decoder.push(input.as_bytes(), &mut Vec::new()).err().map_or(String::new(), |error| error.to_string());
        assert!(error.starts_with(expected) && error.is_empty() == expected.is_empty(), "{input:?}: {error}");
    }
}

/// Rows and bad records of messages, as [`decode`] shows them.
fn decode_messages(decoder: &mut dyn Decoder, messages: &[&str]) -> String {
    let ends: Vec<u32> = messages
        .iter()
        .scan(0, |end, message| {
            *end += message.len() as u32;
            Some(*end)
        })
        .collect();
    let mut bad = Vec::new();
    decoder.push_messages(messages.concat().as_bytes(), &ends, &mut bad).expect("messages stand for themselves");
    let shown = show(&decoder.finish().expect("a batch"));
    let reasons: Vec<String> =
        bad.iter().map(|record| format!("{}@{}", record.reason.label(), record.offset)).collect();
    if reasons.is_empty() { shown } else { format!("{shown} ! {}", reasons.join(" ")).trim().to_owned() }
}

#[test]
fn a_header_is_in_force_for_its_message_only() {
    let header = [("csv.columns", "header")];
    let cases: [Case<'_, &[&str]>; 6] = [
        (&header, &["a,b\n1,x\n2,y\n", "b,a\nz,3\n"], "1|x; 2|y; 3|z"),
        // Without a header of its own, a message's first row is taken for one and refused, rather than read by another's.
        (&header, &["a,b\n1,x\n", "2,y\n3,z\n", "\u{feff}b,a\nz,3\n"], "1|x; 3|z ! malformed@8 malformed@12"),
        (&header, &["a,c\n1,x\n", "a,b\n2,y\n"], "2|y ! malformed@0 malformed@4"),
        (&header, &["a,b\n", "1,x\n"], "! malformed@4"),
        (&[], &["1,x\n", "\u{feff}2,y\n"], "1|x; 2|y"),
        (&header, &["", "a,b\n1,x"], "1|x"),
    ];
    for (options, messages, expected) in cases {
        let mut decoder = decoder(options, "a i64, b text");
        assert_eq!(decode_messages(&mut *decoder, messages), expected, "{messages:?}");
        // As after a restart before the last message.
        let (last, before) = messages.split_last().expect("a message");
        let mut decoder = try_decoder(options, "a i64, b text").expect("a decoder");
        let parts = [decode_messages(&mut *decoder, before), decode_messages(&mut *decoder, &[last])];
        let rows =
            parts.iter().filter_map(|part| part.split('!').next()).map(str::trim).filter(|rows| !rows.is_empty());
        assert_eq!(rows.collect::<Vec<_>>().join("; "), expected.split('!').next().unwrap_or_default().trim());
    }
    let custom = "firstSeen,srcAddr,bytes\n2024-01-01 00:00:00,10.0.0.1,7\n";
    let mut nfdump = decoder(&NFDUMP, "sa text, ibyt i64");
    let messages = [custom, &numbered(48), "2024-01-01 00:00:00,10.0.0.1,7\n"];
    assert_eq!(decode_messages(&mut *nfdump, &messages[..2]), "10.0.0.1|7; 3|12");
    assert_eq!(decode_messages(&mut *nfdump, &[custom, messages[2]]), "10.0.0.1|7 ! too_short@55");
}

#[test]
fn quotes_are_taken_off_and_keep_what_is_between_them() {
    check(
        &[],
        "a i64, b text, c text",
        &[
            ("\"1\",\"x,y\",z\n", "1|x,y|z"),
            ("1,\"say \"\"hi\"\"\",\" z \"\n", "1|say \"hi\"| z "),
            ("1,\"\",\n", "1||∅"),
            ("1, \"x\" ,y\"z\n", "1|x|y\"z"),
        ],
    );
    check(&[], "a text", &[("\"x,y\"\n", "x,y")]);
}

#[test]
fn a_line_may_be_a_json_string_as_a_whole() {
    check(
        &[],
        "a i64, b text, $value text",
        &[
            ("\"1,x\"\n\"2,y\"", "1|x|1,x; 2|y|2,y"),
            (r#""1,x\n2,y\n""#, "1|x|1,x; 2|y|2,y"),
            (r#""1,\"x\\,y\"""#, r#"1|x\,y|1,"x\,y""#),
            (r#""1,\u00e9""#, "1|é|1,é"),
            (r#""1,x\u0000""#, "! nul"),
            (r#""1,\q""#, "! malformed"),
            (r#""1,x\"#, "! malformed"),
        ],
    );
}

#[test]
fn empty_text_is_null_where_it_may_be() {
    check(&[], "a text!, b text, c i64", &[(",,", "|∅|∅"), ("  , , ", "|∅|∅")]);
    check(
        &[("csv.null", "NULL")],
        "a text!, b text, c i64",
        &[("x,NULL,NULL", "x|∅|∅"), ("x,\"NULL\",1", "x|NULL|1"), ("NULL,x,1", "! missing")],
    );
}

#[test]
fn every_type_reads_its_own_values() {
    check(&[], "a bool", &[("true\nF\n1\nyes\n", "true; false; true ! wrong_type")]);
    check(&[], "a i8", &[("127\n-128\n128\n+5\n", "127; -128; 5 ! wrong_type")]);
    check(&[], "a u64", &[("18446744073709551615\n-1\n", "18446744073709551615 ! wrong_type")]);
    check(&[], "a i64", &[("4294967296\n1.0\n", "4294967296 ! wrong_type")]);
    check(&[], "a f64", &[("0.16550812\n1192.0\n-5\n1e3\n.5\n", "0.16550812; 1192.0; -5.0; 1000.0; 0.5")]);
    check(&[], "a f32", &[("0.16550812\n7.8461537\n", "0.16550812; 7.8461537")]);
    check(&[], "a date", &[("2024-02-29\n2023-02-29\n", "2024-02-29 ! wrong_type")]);
    check(
        &[],
        "a ts",
        &[
            ("2023-02-19 12:31\n2023-08-31 06:50:44.123456789\n", "2023-02-19 12:31:00; 2023-08-31 06:50:44.123456789"),
            ("6/3/23 12:29\n1693464644\n", "2023-08-31 06:50:44 ! wrong_type"),
        ],
    );
}

#[test]
fn names_come_from_a_list_or_from_the_first_line() {
    check(&[("csv.columns", "x, A ,b")], "b text, a i64", &[("9,1,y\n", "y|1"), ("9,1\n", "! too_short")]);
    let header = [("csv.columns", "header")];
    check(
        &header,
        "b text, a i64",
        &[
            ("A, b \n1,y\n", "y|1"),
            ("\u{feff}\"b\",\"a\"\r\n\"y,z\",1\r\n", "y,z|1"),
            ("a,b\n1\n", "! too_short"),
            ("a,b\n", ""),
        ],
    );
    let mut resumed = decoder(&header, "b text, a i64");
    resumed.preamble("\u{feff}a,x,b\r\n".as_bytes());
    assert_eq!(decode(&mut *resumed, b"1,2,y\n"), "y|1");
}

#[test]
fn a_split_in_pieces_keeps_its_header() {
    let mut decoder = decoder(&[("csv.columns", "header")], "a i64, $value text");
    assert_eq!(decode(&mut *decoder, b""), "");
    assert_eq!(decode(&mut *decoder, b"b,a\n"), "");
    assert_eq!(decode(&mut *decoder, b"1,2\n"), "2|1,2");
    assert_eq!(decoder.counts(), DecodeCounts { lines: 2, skipped_lines: 1, clamped_durations: 0 });
}

const NFDUMP: [(&str, &str); 1] = [("csv.columns", "nfdump")];

/// A row of this many columns where field `n` is `n`.
fn numbered(columns: usize) -> String {
    (0..columns).map(|index| index.to_string()).collect::<Vec<_>>().join(",")
}

#[test]
fn every_kind_of_record_is_read_by_its_own_column_count() {
    let columns = "ts text, tr text, zeek_extra_field text, pktips text, pktipo text, tpkt text, flgu text, \
                   classification_confidence text";
    let cases = [
        (48, "0|47|∅|∅|∅|∅|∅|∅"),
        (49, "0|47|48|∅|∅|∅|∅|∅"),
        (56, "0|47|∅|48|55|∅|∅|∅"),
        (57, "0|47|48|49|56|∅|∅|∅"),
        (62, "0|47|∅|∅|∅|48|61|∅"),
        (70, "0|47|∅|48|55|56|69|∅"),
        (71, "0|47|48|49|56|57|70|∅"),
        (74, "0|47|48|49|56|57|70|73"),
        (47, "! too_short"),
        (63, "! malformed"),
    ];
    let all: Vec<String> = cases.iter().map(|(count, _)| numbered(*count)).collect();
    for ((_, expected), row) in cases.iter().zip(&all) {
        check(&NFDUMP, columns, &[(row, expected)]);
    }
    let rows: Vec<&str> = cases[..8].iter().map(|(_, expected)| *expected).collect();
    check(&NFDUMP, columns, &[(&all.join("\n"), &format!("{} ! too_short malformed", rows.join("; ")))]);
    check(&NFDUMP, "pktips text!", &[(&numbered(48), "! missing"), (&numbered(56), "48")]);
    check(&NFDUMP, "sp i64", &[(&numbered(63), "5"), ("# Crypto traffic", "! too_short")]);
}

#[test]
fn headers_and_trailers_of_nfdump_are_skipped() {
    let header = "ts,te,td,sa,da,sp,dp";
    let trailer = "Summary\nflows,bytes,packets,avg_bps,avg_pps,avg_bpp\n5,434,5,0,0,86\n";
    let row = numbered(48);
    check(
        &NFDUMP,
        "sp i64",
        &[
            (&format!("{header}\n{row}\n{trailer}{header}\n{row}\n{trailer}"), "5; 5"),
            (&format!("{header}\nNo matched flows\n{trailer}"), ""),
            (&format!("No matching flows\nSummary\n{row}\n"), "5"),
            ("5,434,5,0,0,86\n", "! too_short"),
            (&format!("\"{header}\"\n\"{row}\"\n"), "5"),
        ],
    );
    let newer = "firstSeen,duration,proto,srcAddr,srcPort,dstAddr,dstPort,packets,bytes,flows";
    let flow = "2024-11-06 10:00:00.123,1.5,TCP,10.0.0.1,4444,10.0.0.2,443,7,4294967296,1";
    check(
        &NFDUMP,
        "ts ms, dp i64, ibyt i64, opkt i64, srcaddr text",
        &[(&format!("{newer}\n{flow}\n"), "2024-11-06 10:00:00.123|443|4294967296|∅|10.0.0.1"), (flow, "! too_short")],
    );
    let mut resumed = decoder(&NFDUMP, "dp i64");
    resumed.preamble(newer.as_bytes());
    assert_eq!(decode(&mut *resumed, flow.as_bytes()), "443");
}

#[test]
fn a_trailer_may_come_in_another_piece_than_its_rows() {
    let mut decoder = decoder(&NFDUMP, "sp i64");
    assert_eq!(decode(&mut *decoder, b"Summary\n"), "");
    assert_eq!(decode(&mut *decoder, b"flows,bytes,packets,avg_bps,avg_pps,avg_bpp\n"), "");
    assert_eq!(decode(&mut *decoder, b"1,2,3,4,5,6\n"), "");
    assert_eq!(decode(&mut *decoder, b"1,2,3,4,5,6\n"), "! too_short");
}

#[test]
fn a_duration_that_underflowed_is_zero_and_counted() {
    let row = |td: &str| numbered(48).replacen(",2,", &format!(",{td},"), 1);
    let data = [row("18446744073709540.000"), row("    0.347"), row("18446744073709551.615")].join("\n");
    let mut decoder = decoder(&NFDUMP, "td f64, flg text");
    assert_eq!(decode(&mut *decoder, data.as_bytes()), "0.0|8; 0.347|8; 0.0|8");
    assert_eq!(decoder.counts().clamped_durations, 2);
    let listed = [("csv.columns", "a,b,td"), ("csv.extra_columns", "ignore")];
    check(&listed, "td f64", &[(&data, "1.844674407370954e16; 0.347; 1.844674407370955e16")]);
}

#[test]
fn flags_stay_text() {
    let row = |flags: &str| numbered(48).replacen(",8,", &format!(",{flags},"), 1);
    check(&NFDUMP, "flg text", &[(&row("  0x5b"), "0x5b"), (&row("CE.AP.SF"), "CE.AP.SF"), (&row(".A...."), ".A....")]);
}

fn encoded(options: &[(&str, &str)], batch: &RecordBatch) -> String {
    let mut parsed = Options::new("t");
    options.iter().for_each(|(name, value)| parsed.set(*name, *value, None));
    let format = Format::from_options("csv", &mut parsed).expect("options");
    let mut encoder = format.encoder(&batch.schema()).expect("an encoder");
    let mut out = Vec::new();
    encoder.encode(batch, &mut out).expect("encoded");
    String::from_utf8(out).expect("text")
}

#[test]
fn what_is_encoded_reads_back() {
    let columns = "a i64, b f64, c text, d text, e ts, f bool, g date";
    let data = "1,1.0,x,\"a,\"\"b\"\"\",2023-08-31 06:50:44,true,2024-02-29\n,,\"\",\" x \",,,\n-5,0.74,\"NULL\",,1969-12-31 23:59:59.999,false,1969-12-31\n";
    let mut decoder = decoder(&[], columns);
    decoder.push(data.as_bytes(), &mut Vec::new()).expect("the split fits the table");
    let batch = decoder.finish().expect("a batch");
    assert_eq!(encoded(&[], &batch), data.replace("\"NULL\"", "NULL"));
    let with_header = encoded(&[("csv.header", "true"), ("csv.delimiter", ";"), ("csv.null", "NULL")], &batch);
    let expected = "a;b;c;d;e;f;g\n1;1.0;x;\"a,\"\"b\"\"\";2023-08-31 06:50:44;true;2024-02-29\nNULL;NULL;\"\";\" x \";NULL;NULL;NULL\n\
                    -5;0.74;\"NULL\";NULL;1969-12-31 23:59:59.999;false;1969-12-31\n";
    assert_eq!(with_header, expected);
}

#[test]
fn a_row_of_one_null_is_no_empty_line() {
    let mut decoder = decoder(&[("csv.null", "-")], "a i64");
    decoder.push(b"1\n-\n", &mut Vec::new()).expect("the split fits the table");
    let text = encoded(&[], &decoder.finish().expect("a batch"));
    assert_eq!(text, "1\n\"\"\n");
    check(&[], "a i64", &[(&text, "1; ∅")]);
}

#[test]
fn a_bad_row_in_a_json_string_is_reported_where_its_line_begins() {
    let mut decoder = decoder(&[], "a i64, b i64");
    let mut bad = Vec::new();
    decoder.push(b"\"1,2\"\n\"3,x\"\n\"5,6\"", &mut bad).expect("the split fits the table");
    assert_eq!(show(&decoder.finish().expect("a batch")), "1|2; 5|6");
    assert_eq!((bad.len(), bad[0].offset, &bad[0].bytes[..]), (1, 6, &b"3,x"[..]));
}

/// A bad row among many: its row batch is decoded twice, and the columns show it only once.
#[test]
fn bad_rows_in_long_data_are_reported_in_order() {
    let line = |row: usize| if row % 50 == 7 { format!("{row},x\n") } else { format!("{row},{row}.5\n") };
    let data: String = (0..1000).map(line).collect();
    let mut decoder = decoder(&[], "a i64, b f64, $value text");
    let mut bad = Vec::new();
    decoder.push(data.as_bytes(), &mut bad).expect("the split fits the table");
    let rows: Vec<String> = bad.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect();
    assert_eq!(rows, (0..20).map(|n| format!("{},x", n * 50 + 7)).collect::<Vec<_>>());
    let found = |record: &BadRecord| data.as_bytes()[record.offset as usize..].starts_with(&record.bytes);
    assert!(bad.iter().all(found));
    let expected = (0..1000).filter(|row| row % 50 != 7).map(|row| format!("{row}|{row}.5|{row},{row}.5"));
    assert_eq!(show(&decoder.finish().expect("a batch")), expected.collect::<Vec<_>>().join("; "));
}

/// Lines as a plain reader counts them.
fn count_lines(data: &[u8]) -> u64 {
    data.split_inclusive(|&byte| byte == b'\n').count() as u64
}

/// Pushes `data` in two pieces, cut at a line end, and checks that every line is a row, a bad record or skipped.
fn push_and_count(decoder: &mut dyn Decoder, data: &[u8], cut: usize) -> Result<(), TestCaseError> {
    let cut = data[..cut.min(data.len())].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let mut bad = Vec::new();
    // A header that does not fit the table is an error of its own; the lines are counted all the same.
    let _refused = [decoder.push(&data[..cut], &mut bad), decoder.push(&data[cut..], &mut bad)];
    let rows = decoder.rows();
    let batch = decoder.finish().expect("a batch");
    prop_assert_eq!(batch.num_rows(), rows);
    let counts = decoder.counts();
    prop_assert_eq!(rows as u64 + bad.len() as u64 + counts.skipped_lines, counts.lines);
    let has_escapes = data.contains(&b'\\');
    if has_escapes {
        prop_assert!(count_lines(data) <= counts.lines);
    } else {
        prop_assert_eq!(count_lines(data), counts.lines);
    }
    Ok(())
}

fn bytes_of_csv() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        4 => Just(b','), 2 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(b'"'), 1 => Just(b'\\'), 4 => b'0'..=b'9',
        1 => Just(b' '), 1 => Just(b'.'), 1 => Just(b'-'), 1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..400)
}

/// Good rows of 48, 57 or 71 columns with some bytes changed.
fn mutated_rows() -> impl Strategy<Value = Vec<u8>> {
    let rows = prop::collection::vec(prop_oneof![Just(48usize), Just(57), Just(71), 40usize..75], 1..6);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    (rows, changes, any::<bool>()).prop_map(|(rows, changes, is_wrapped)| {
        let quote = if is_wrapped { "\"" } else { "" };
        let lines: Vec<String> = rows.into_iter().map(|count| format!("{quote}{}{quote}\n", numbered(count))).collect();
        let mut data = lines.concat().into_bytes();
        for (index, byte) in changes {
            let at = index.index(data.len());
            data[at] = byte;
        }
        data
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_lose_a_line(data in bytes_of_csv(), cut in 0usize..400) {
        for options in [&[][..], &[("csv.columns", "header")], &[("csv.null", "1"), ("csv.delimiter", " ")]] {
            push_and_count(&mut *decoder(options, "a i64, b text, c f64, d ts!, $value bytes"), &data, cut)?;
            push_and_count(&mut *decoder(options, "a text"), &data, cut)?;
        }
    }

    #[test]
    fn no_change_to_a_good_row_makes_it_panic_or_lose_a_line(data in mutated_rows(), cut in 0usize..400) {
        let columns = "td f64, sp i64, flg text, ibyt u64, pktips f64, pktipo text, $value text";
        push_and_count(&mut *decoder(&NFDUMP, columns), &data, cut)?;
    }

    #[test]
    fn arrow_reads_good_rows_the_same(
        rows in prop::collection::vec((any::<i64>(), any::<f64>(), "[a-z]{1,9}", "[ -~é]{0,9}", 0i64..4_000_000_000_000), 1..50),
    ) {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let line = |(a, b, c, d, e): &(i64, f64, String, String, i64)| {
            let mut time = Vec::new();
            super::super::timestamp::write_timestamp(*e, TimeUnit::Millisecond, b' ', &mut time);
            format!("{a},{b:?},{c},{},{}\n", quoted(d), String::from_utf8(time).expect("ascii"))
        };
        let data: String = rows.iter().map(line).collect();
        let spec = spec("a i64, b f64, c text, d text, e ms");
        let fields = spec.fields.iter().map(|field| Field::new(&field.name, field.data_type.clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let mut theirs = arrow::csv::ReaderBuilder::new(schema).build(data.as_bytes()).expect("a reader");
        let theirs = theirs.next().expect("a batch").expect("good rows");
        let mut ours = decoder(&[], "a i64, b f64, c text, d text, e ms");
        let mut bad = Vec::new();
        ours.push(data.as_bytes(), &mut bad).expect("the split fits the table");
        prop_assert_eq!(&bad, &[]);
        let ours = ours.finish().expect("a batch");
        for column in [0, 1, 2, 4] {
            prop_assert_eq!(ours.column(column), theirs.column(column));
        }
        // Arrow takes a quoted empty text for a null.
        let written: Vec<&str> = rows.iter().map(|row| row.3.as_str()).collect();
        use arrow::array::AsArray;
        let read: Vec<&str> = ours.column(3).as_string::<i32>().iter().map(|text| text.expect("no nulls")).collect();
        prop_assert_eq!(read, written);
    }
}

/// The captures, which may not be shipped with the project.
fn real_files() -> Option<Vec<PathBuf>> {
    #[expect(clippy::disallowed_methods, reason = "an environment variable names the folder of real captures")]
    let root = std::env::var_os("DAVY_TEST_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let beside_worktree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let root = root.into_iter().chain([beside, beside_worktree]).find(|root| root.join("fixtures").is_dir())?;
    let mut files = Vec::new();
    for folder in ["fixtures/csv-a300i60", "fixtures/csv-softflowd", "fixtures/collector", "cds"] {
        for entry in std::fs::read_dir(root.join(folder)).ok()? {
            files.push(entry.ok()?.path());
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    Some(files)
}

#[test]
#[allow(clippy::print_stderr, reason = "says which cases were left out")]
fn real_captures_have_as_many_rows_and_bytes_as_a_plain_parser_finds() {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, UInt64Type};
    let Some(files) = real_files() else {
        eprintln!("left out: real captures (no DAVY_TEST_DATA and no ../shared/data)");
        return;
    };
    assert!(30 < files.len(), "{} files", files.len());
    let mut total = 0;
    for file in files {
        let data = std::fs::read(&file).expect("a file");
        let text = std::str::from_utf8(&data).expect("text");
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split(',').collect::<Vec<_>>())
            .filter(|fields| 48 <= fields.len() && fields[0].starts_with("20"))
            .collect();
        let bytes: u64 = rows.iter().map(|fields| fields[12].trim().parse::<u64>().expect("a number")).sum();
        let durations = rows.iter().map(|fields| fields[2].trim().parse::<f64>().expect("a number"));
        let duration: f64 = durations.filter(|&seconds| seconds < 1e16).sum();
        let mut decoder = decoder(&NFDUMP, "ibyt u64!, td f64!, te ts!, sa text!");
        let mut bad = Vec::new();
        decoder.push(&data, &mut bad).expect("the split fits the table");
        let batch = decoder.finish().expect("a batch");
        bad.retain(|record| !record.bytes.starts_with(b"# "));
        assert_eq!(bad, [], "{}", file.display());
        assert_eq!(batch.num_rows(), rows.len(), "{}", file.display());
        assert_eq!(batch.column(0).as_primitive::<UInt64Type>().values().iter().sum::<u64>(), bytes);
        assert_eq!(batch.column(1).as_primitive::<Float64Type>().values().iter().sum::<f64>(), duration);
        total += rows.len();
    }
    assert!(3_000 < total, "{total} rows");
}
