//! What is written is read, what is damaged is not.

use proptest::prelude::*;

use super::super::sink_state::CommittedFile;
use super::*;

fn metadata(state: SplitState) -> SplitMetadata {
    SplitMetadata { fingerprint: 0xfeed, task: 3, n_tasks: 8, owner: 77, sequence: 12, state, parts: Parts::default() }
}

fn samples() -> [SplitMetadata; 4] {
    let windows = SplitState::Windows { replay_from: Position(5), closed_through: -1, expected: i64::MAX };
    let source = metadata(SplitState::Source { watermark: i64::MIN });
    let reset = Some(Reset { read_until: Position(7), written_until: Position(u64::MAX), to: -1 });
    let file = |is_closed| CommittedFile { is_closed, length: 1 << 40, generation: 3, owner: u64::MAX };
    let sink = |file| SinkState { target: 7, generation: 4, sequence: 1 << 33, file, id: u64::MAX - 1 };
    let partly_closed = Some(PartlyClosed { window_end: 90, place: 7 });
    let judged = Some(Judged { from: Position(6), watermark: i64::MIN });
    let lookups = LookupVersions::from([(1, u32::MAX), (u32::MAX, 0)]);
    let sinks = vec![sink(None), sink(Some(file(false))), sink(Some(file(true)))];
    [
        SplitMetadata { parts: Parts { is_idle: true, ..Parts::default() }, ..source.clone() },
        SplitMetadata {
            parts: Parts { is_idle: true, reset, partly_closed, judged, sinks, lookups },
            ..metadata(windows)
        },
        source,
        metadata(windows),
    ]
}

#[test]
fn what_is_written_is_read_and_stays_far_below_the_limit() {
    for metadata in samples() {
        let text = metadata.encode();
        assert_eq!(SplitMetadata::decode(&text), OffsetMetadata::Valid(metadata.clone()));
        let limit = 160 + 80 * metadata.parts.sinks.len() + 16 * metadata.parts.lookups.len();
        assert!(text.len() < limit, "{} characters", text.len());
    }
}

#[test]
fn a_count_of_64_parts_is_a_place() {
    let body = [90_i64.to_le_bytes().as_slice(), &7_u32.to_le_bytes()].concat();
    let mut bytes = Vec::new();
    put_part(&mut bytes, PARTLY_CLOSED, &body);
    let parts = Parts::decode(&mut bytes.as_slice()).expect("of an earlier build");
    assert_eq!(parts.partly_closed, Some(PartlyClosed { window_end: 90, place: 7 << 26 }));
}

#[test]
fn text_that_is_not_offset_metadata_is_recognised() {
    assert_eq!(SplitMetadata::decode(""), OffsetMetadata::Erased);
    let encode = |bytes: &[u8]| STANDARD_NO_PAD.encode(bytes);
    let checked = |mut bytes: Vec<u8>| {
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        encode(&bytes)
    };
    let fixed = STANDARD_NO_PAD.decode(samples()[2].encode()).expect("ours");
    let with_parts = |parts: &[u8]| {
        let mut bytes = fixed[..fixed.len() - 4].to_vec();
        bytes[2] = WITH_PARTS;
        bytes.extend_from_slice(parts);
        checked(bytes)
    };
    let cases = [
        ("reset by hand".to_owned(), "it was not written by Davy"),
        (encode(b"xx"), "it is cut off"),
        (encode(b"xxxxxxxxxxx"), "it was not written by Davy"),
        (encode(b"dvxxxxxxxxx"), "its checksum is wrong"),
        (checked(vec![b'd', b'v', 9, 1]), "it has version 9, this build reads up to 2"),
        (with_parts(&[200, 0, 0]), "it has the unknown part 200"),
        (with_parts(&[IDLE, 1, 0, 7]), "its part 1 has 1 bytes"),
        (with_parts(&[IDLE, 1, 0]), "it is cut off"),
        (with_parts(&[SINK, 1, 0, 7]), "it is cut off"),
        (with_parts(&[RESET, 1, 0, 7]), "its part 8 has 1 bytes"),
        (with_parts(&[LOOKUP, 1, 0, 7]), "its part 64 has 1 bytes"),
        (with_parts(&[&[SINK, 25, 0], &[7; 25][..]].concat()), "it has a file of the unknown kind 7"),
    ];
    for (text, why) in cases {
        assert_eq!(SplitMetadata::decode(&text), OffsetMetadata::Unreadable(why.to_owned()), "{text}");
    }
}

#[test]
fn metadata_without_optional_parts_has_version_1() {
    let versions = samples().map(|metadata| STANDARD_NO_PAD.decode(metadata.encode()).expect("ours")[2]);
    assert_eq!(versions, [WITH_PARTS, WITH_PARTS, FIXED, FIXED]);
}

proptest! {
    #[test]
    fn damaged_metadata_is_never_accepted(at in 0usize..300, bit in 0u8..8, which in 0usize..4) {
        let text = samples()[which].encode();
        let mut bytes = STANDARD_NO_PAD.decode(&text).expect("ours");
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(matches!(SplitMetadata::decode(&STANDARD_NO_PAD.encode(&bytes)), OffsetMetadata::Unreadable(_)));
        prop_assert!(matches!(SplitMetadata::decode(&STANDARD_NO_PAD.encode(&bytes[..at])), OffsetMetadata::Unreadable(_) | OffsetMetadata::Erased));
    }
}
