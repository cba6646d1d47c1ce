//! Cases as data: input → rows | bad records.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, TimeUnit};
use proptest::prelude::*;

use super::super::{DecodeField, DecodeSpec, Decoder, FieldFrom, Format};
use crate::options::Options;

fn field(name: &str, data_type: DataType, nullable: bool) -> DecodeField {
    DecodeField { name: name.to_owned(), data_type, nullable, from: FieldFrom::Column(0) }
}

fn decoder(fields: Vec<DecodeField>) -> Box<dyn Decoder> {
    decoder_with(&[], fields)
}

fn decoder_with(options: &[(&str, &str)], fields: Vec<DecodeField>) -> Box<dyn Decoder> {
    let mut parsed = Options::new("t");
    options.iter().for_each(|(name, value)| parsed.set(*name, *value, None));
    let format = Format::from_options("json", &mut parsed).expect("options");
    format.decoder(DecodeSpec { declared: Arc::new([]), fields }).expect("a decoder")
}

/// Rows as they are written again; then ` ! ` and the reasons.
fn decode(decoder: &mut dyn Decoder, data: &[u8]) -> String {
    let mut bad = Vec::new();
    let before = decoder.counts();
    decoder.push(data, &mut bad).expect("the split fits the table");
    let counts = decoder.counts();
    let (lines, skipped) = (counts.lines - before.lines, counts.skipped_lines - before.skipped_lines);
    assert_eq!(decoder.rows() as u64 + bad.len() as u64 + skipped, lines);
    let rows = encoded(&decoder.finish().expect("a batch")).trim_end().replace('\n', "; ");
    let reasons: Vec<&str> = bad.iter().map(|record| record.reason.label()).collect();
    if reasons.is_empty() { rows } else { format!("{rows} ! {}", reasons.join(" ")).trim().to_owned() }
}

fn encoded(batch: &RecordBatch) -> String {
    let format = Format::from_options("json", &mut Options::new("t")).expect("defaults");
    let mut out = Vec::new();
    format.encoder(&batch.schema()).expect("an encoder").encode(batch, &mut out).expect("encoded");
    String::from_utf8(out).expect("text")
}

/// One column `a` of this type.
fn check(data_type: &DataType, nullable: bool, cases: &[(&str, &str)]) {
    for (input, expected) in cases {
        let actual = decode(&mut *decoder(vec![field("a", data_type.clone(), nullable)]), input.as_bytes());
        assert_eq!(&actual, expected, "{data_type}: {input}");
    }
}

#[test]
fn a_line_that_is_no_object_is_bad_and_the_next_is_read() {
    let cases = [
        ("{\"a\":1\n{\"a\":2}\n", "{\"a\":2} ! malformed"),
        ("5\nnull\n\"x\"\n{\"a\":2}", "{\"a\":2} ! malformed malformed malformed"),
        ("{\"a\":1} {\"a\":2}\n", "! malformed"),
        ("{\"a\":1,}\n", "! malformed"),
        ("{\"b\":\"\0\",\"a\":1}\n", "! nul"),
        ("{\"a\":\"\0\"}\n", "! nul"),
        ("\n\r\n  \n", ""),
        ("\u{feff}{\"a\":1}\r\n", "{\"a\":1}"),
    ];
    check(&DataType::Int64, true, &cases);
}

#[test]
fn values_of_another_type_are_bad_but_numbers_may_stand_in_quotes() {
    let (yes, no) = (true, false);
    check(
        &DataType::Int64,
        yes,
        &[
            ("{\"a\":\"5\"}\n{\"a\":5.5}\n{\"a\":5.0}\n{\"a\":true}", "{\"a\":5}; {\"a\":5} ! wrong_type wrong_type"),
            (
                "{\"a\":\"9007199254740993\"}\n{\"a\":\"\"}\n{\"a\":\"5x\"}\n{\"a\":\"9223372036854775808\"}",
                "{\"a\":9007199254740993} ! wrong_type wrong_type wrong_type",
            ),
            ("{\"a\":9223372036854775808}\n{\"a\":-9223372036854775808}", "{\"a\":-9223372036854775808} ! wrong_type"),
            ("{}\n{\"a\":null}\n{\"b\":[{}]}", "{\"a\":null}; {\"a\":null}; {\"a\":null}"),
        ],
    );
    check(&DataType::Int64, no, &[("{}\n{\"a\":null}\n{\"a\":1}", "{\"a\":1} ! missing missing")]);
    check(
        &DataType::UInt64,
        yes,
        &[("{\"a\":\"18446744073709551615\"}\n{\"a\":-1}", "{\"a\":18446744073709551615} ! wrong_type")],
    );
    check(
        &DataType::Float64,
        yes,
        &[("{\"a\":1}\n{\"a\":0.74}\n{\"a\":\"1\"}", "{\"a\":1.0}; {\"a\":0.74}; {\"a\":1.0}")],
    );
    check(&DataType::Float32, yes, &[("{\"a\":1e300}\n{\"a\":0.5}", "{\"a\":0.5} ! wrong_type")]);
    check(&DataType::Boolean, yes, &[("{\"a\":true}\n{\"a\":1}", "{\"a\":true} ! wrong_type")]);
    check(&DataType::Binary, yes, &[("{\"a\":\"00fF\"}\n{\"a\":\"0\"}", "{\"a\":\"00ff\"} ! wrong_type")]);
    check(&DataType::Date32, yes, &[("{\"a\":\"2024-02-29\"}\n{\"a\":5}", "{\"a\":\"2024-02-29\"} ! wrong_type")]);
}

#[test]
fn a_name_without_capitals_is_found_however_the_field_is_spelled() {
    let inner = DataType::Struct([Field::new("inbytes", DataType::Int64, true)].into_iter().collect());
    let cases = [
        ("srcip", r#"{"srcIp":"x"}"#, r#"{"srcip":"x"}"#),
        ("srcip", r#"{"srcIp":"x","srcip":"y","SRCIP":"z"}"#, r#"{"srcip":"y"}"#),
        ("srcip", r#"{"srcIp":"x","srcIp":"y"}"#, r#"{"srcip":"y"}"#),
        ("srcip", r#"{"srcIp":"x","SRCIP":"y"}"#, "! malformed"),
        ("srcIp", r#"{"srcip":"x","SRCIP":"y"}"#, r#"{"srcIp":null}"#),
        ("srcip", r#"{"srcIpx":"x"}"#, r#"{"srcip":null}"#),
    ];
    for (name, input, expected) in cases {
        let mut decoder = decoder(vec![field(name, DataType::Utf8, true)]);
        assert_eq!(decode(&mut *decoder, input.as_bytes()), expected, "{name}: {input}");
    }
    let cases = [
        (r#"{"a":{"inBytes":5}}"#, r#"{"a":{"inbytes":5}}"#),
        (r#"{"a":{"inBytes":5,"inbytes":6}}"#, r#"{"a":{"inbytes":6}}"#),
        (r#"{"a":{"inBytes":5,"INBYTES":6}}"#, "! malformed"),
    ];
    check(&inner, true, &cases);
    let mut both = decoder(vec![field("srcIp", DataType::Utf8, true), field("srcip", DataType::Utf8, true)]);
    assert_eq!(decode(&mut *both, br#"{"srcIp":"x"}"#), r#"{"srcIp":"x","srcip":null}"#);
}

#[test]
fn text_may_hold_structures_but_no_numbers() {
    check(
        &DataType::Utf8,
        true,
        &[
            (r#"{"a": {"z": [1, 2.5, null], "b": "x\"\n"} }"#, r#"{"a":"{\"z\":[1,2.5,null],\"b\":\"x\\\"\\n\"}"}"#),
            (r#"{"a":"\u00e9\ud83d\ude00\/"}"#, r#"{"a":"é😀/"}"#),
            (r#"{"a":"x","a":"y","b":1,"b":2}"#, r#"{"a":"y"}"#),
            (r#"{"a":5}"#, "! wrong_type"),
            (r#"{"a":"x\u0000"}"#, "! nul"),
            (r#"{"a":""}"#, r#"{"a":""}"#),
        ],
    );
    let mut decoder = decoder(vec![field("a", DataType::Utf8, true)]);
    assert_eq!(decode(&mut *decoder, b"{\"a\":\"\xff\"}\n{\"b\":\"\xff\",\"a\":\"x\"}\n"), "{\"a\":\"x\"} ! bad_utf8");
}

#[test]
fn times_are_text_or_epochs() {
    check(
        &DataType::Timestamp(TimeUnit::Millisecond, None),
        true,
        &[
            (
                "{\"a\":\"2023-08-31T08:50:44.123+02:00\"}\n{\"a\":1693464644}\n{\"a\":1693464644123}\n{\"a\":1693464644.123}",
                "{\"a\":\"2023-08-31T06:50:44.123Z\"}; {\"a\":\"2023-08-31T06:50:44Z\"}; \
             {\"a\":\"2023-08-31T06:50:44.123Z\"}; {\"a\":\"2023-08-31T06:50:44.123Z\"}",
            ),
            ("{\"a\":\"6/3/23 12:29\"}\n{\"a\":true}\n{\"a\":1e300}", "! wrong_type wrong_type wrong_type"),
        ],
    );
}

#[test]
fn nested_values_are_read_whole_or_not_at_all() {
    let item = Arc::new(Field::new("item", DataType::Int32, false));
    let inner = Field::new("n", DataType::List(item), true);
    let fields = [inner, Field::new("s", DataType::Utf8, true)];
    check(
        &DataType::Struct(fields.into_iter().collect()),
        true,
        &[
            (r#"{"a":{"n":[1,2],"s":"x","t":0}}"#, r#"{"a":{"n":[1,2],"s":"x"}}"#),
            (
                "{\"a\":{\"n\":[1,\"x\"]}}\n{\"a\":{\"n\":[]}}\n{\"a\":null}",
                "{\"a\":{\"n\":[],\"s\":null}}; {\"a\":null} ! wrong_type",
            ),
            ("{\"a\":{\"n\":[1],\"s\":5}}\n{\"a\":{\"n\":[7,8]}}", "{\"a\":{\"n\":[7,8],\"s\":null}} ! wrong_type"),
            ("{\"a\":{\"n\":[null]}}\n{\"a\":[]}\n", "! missing wrong_type"),
        ],
    );
}

#[test]
fn an_array_gives_a_row_per_element() {
    let whole = DecodeField { name: "v".into(), data_type: DataType::Utf8, nullable: false, from: FieldFrom::Value };
    let mut decoder = decoder(vec![field("a", DataType::Int64, true), whole]);
    let cases: [(&str, &str); 6] = [
        (r#"[{"a":1}, {"a": 2}]"#, r#"{"a":1,"v":"{\"a\":1}"}; {"a":2,"v":"{\"a\": 2}"}"#),
        (r#"[{"a":1,"b":"],[\""},{"a":"x"}]"#, r#"{"a":1,"v":"{\"a\":1,\"b\":\"],[\\\"\"}"} ! wrong_type"#),
        ("[]", ""),
        ("[{},]", "{\"a\":null,\"v\":\"{}\"} ! malformed"),
        ("[{}", "! malformed"),
        ("[{}]]", "! malformed"),
    ];
    for (input, expected) in cases {
        assert_eq!(decode(&mut *decoder, input.as_bytes()), expected, "{input}");
    }
}

#[test]
fn depth_and_length_have_limits() {
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    check(&DataType::Utf8, true, &[(&deep, "! too_deep"), (&deep.replace("\"a\"", "\"b\""), "{\"a\":null}")]);
    let mut short = decoder_with(&[("json.max_record_bytes", "10")], vec![field("a", DataType::Int64, true)]);
    assert_eq!(decode(&mut *short, b"{\"a\":12345}\n{\"a\":1}\n"), "{\"a\":1} ! too_long");
}

#[test]
fn what_is_not_finite_is_null() {
    use arrow::array::{ArrayRef, Float64Array};
    let column: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY, 1e300, -0.0]));
    let batch = RecordBatch::try_from_iter([("a\"b", column)]).expect("a batch");
    let expected = "{\"a\\\"b\":null}\n{\"a\\\"b\":null}\n{\"a\\\"b\":1e300}\n{\"a\\\"b\":-0.0}\n";
    assert_eq!(encoded(&batch), expected);
}

fn bytes_of_json() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just("\"a\":"),
        Just("\"b\":"),
        Just(","),
        Just("1"),
        Just("-0.5e3"),
        Just("\"x\""),
        Just("null"),
        Just("true"),
        Just("\n"),
        Just("\\"),
        Just("\""),
        Just("\u{e9}"),
        Just("{\"a\":1}\n"),
    ];
    let pieces = prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes());
    (pieces, prop::option::of((any::<prop::sample::Index>(), any::<u8>()))).prop_map(|(mut data, change)| {
        if let (Some((index, byte)), false) = (change, data.is_empty()) {
            let at = index.index(data.len());
            data[at] = byte;
        }
        data
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_lose_a_line(data in bytes_of_json()) {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int64, true)));
        let structure = DataType::Struct([Field::new("a", DataType::Utf8, false)].into_iter().collect());
        for data_type in [DataType::Int64, DataType::Utf8, list, structure] {
            for nullable in [true, false] {
                decode(&mut *decoder(vec![field("a", data_type.clone(), nullable), field("b", DataType::Utf8, true)]), &data);
            }
        }
    }

    #[test]
    fn objects_read_as_serde_reads_them(a: i64, b in any::<String>(), c: f64) {
        let line = serde_json::json!({"x": [&b], "b": b.replace('\0', " "), "a": a, "c": c}).to_string();
        let fields = vec![field("a", DataType::Int64, false), field("b", DataType::Utf8, false), field("c", DataType::Float64, false)];
        let row = decode(&mut *decoder(fields), line.as_bytes());
        let row: serde_json::Value = serde_json::from_str(&row).expect("one row");
        prop_assert_eq!(&row["a"], &serde_json::json!(a));
        prop_assert_eq!(&row["b"], &serde_json::json!(b.replace('\0', " ")));
        // Without its feature `float_roundtrip`, serde_json may be off in the last digit; here twice.
        let read = row["c"].as_f64().expect("a number");
        prop_assert!((read - c).abs() <= c.abs() * 4.0 * f64::EPSILON, "{read} {c}");
    }
}
