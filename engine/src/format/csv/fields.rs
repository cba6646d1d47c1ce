//! Which field of a row is which column.
//!
//! Rows of one stream may differ: nfdump's 48 columns, the detection system's 57 or 71, and what was glued on in between. Each
//! row is read by the layout that its own column count (or the header above it) names, never by its neighbour's.

use super::super::{DecodeField, DecodeSpec, FieldFrom};
use super::Columns;
use super::scan::Wanted;
use crate::error::{Error, Result};

/// nfdump's old `-o csv`: the first 48 columns of every record.
const NFDUMP: [&str; 48] = [
    "ts", "te", "td", "sa", "da", "sp", "dp", "pr", "flg", "fwd", "stos", "ipkt", "ibyt", "opkt", "obyt", "in", "out",
    "sas", "das", "smk", "dmk", "dtos", "dir", "nh", "nhb", "svln", "dvln", "ismc", "odmc", "idmc", "osmc", "mpls1",
    "mpls2", "mpls3", "mpls4", "mpls5", "mpls6", "mpls7", "mpls8", "mpls9", "mpls10", "cl", "sl", "al", "ra", "eng",
    "exid", "tr",
];
const ZEEK: [&str; 1] = ["zeek_extra_field"];
/// The aggregates that the stream aggregator adds.
const AGGREGATES: [&str; 8] = ["pktips", "pktops", "bytips", "bytops", "bytippkt", "bytoppkt", "bytipo", "pktipo"];
/// The columns that the preprocessing adds.
const PREPROCESSED: [&str; 14] = [
    "tpkt", "tbyt", "cp", "prtcp", "prudp", "pricmp", "prigmp", "prother", "flga", "flgs", "flgf", "flgr", "flgp",
    "flgu",
];
/// The columns that the detection system adds.
const VERDICT: [&str; 3] = ["Threat_Label", "Threat_Category", "Classification_Confidence"];
/// What nfdump 1.7.5 and later print, and what the same was called before.
const RENAMED: [(&str, &str); 10] = [
    ("firstSeen", "ts"),
    ("duration", "td"),
    ("proto", "pr"),
    ("srcAddr", "sa"),
    ("srcPort", "sp"),
    ("dstAddr", "da"),
    ("dstPort", "dp"),
    ("packets", "ipkt"),
    ("bytes", "ibyt"),
    ("flows", "flows"),
];

/// The records known by their column count: 48, 49, 56, 57, 62, 70, 71 and 74.
fn known_layouts() -> [Vec<&'static str>; 8] {
    let parts: [&[&[&'static str]]; 8] = [
        &[&NFDUMP],
        &[&NFDUMP, &ZEEK],
        &[&NFDUMP, &AGGREGATES],
        &[&NFDUMP, &ZEEK, &AGGREGATES],
        &[&NFDUMP, &PREPROCESSED],
        &[&NFDUMP, &AGGREGATES, &PREPROCESSED],
        &[&NFDUMP, &ZEEK, &AGGREGATES, &PREPROCESSED],
        &[&NFDUMP, &ZEEK, &AGGREGATES, &PREPROCESSED, &VERDICT],
    ];
    parts.map(|parts| parts.concat())
}

fn is_known(name: &str) -> bool {
    let old = [&NFDUMP[..], &ZEEK, &AGGREGATES, &PREPROCESSED, &VERDICT].concat();
    let new = RENAMED.map(|(new, _)| new);
    old.iter().chain(&new).any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether this first name is one that nfdump's headers use; a row of values never begins like that.
pub(super) fn is_nfdump_name(name: &[u8]) -> bool {
    std::str::from_utf8(name).is_ok_and(is_known)
}

/// Whether a column holds nfdump's duration, which underflows in nfdump when a flow ends before it begins.
pub(super) fn is_nfdump_duration(name: &str) -> bool {
    name.eq_ignore_ascii_case("td") || name.eq_ignore_ascii_case("duration")
}

/// Where the used columns of one kind of row are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// (field of the row, output column), by field.
    pub(super) taken: Vec<(usize, usize)>,
    /// Output columns that such a row does not have.
    pub(super) absent: Vec<usize>,
}

impl Layout {
    /// Finds each used column with `find`.
    fn new(fields: &[DecodeField], mut find: impl FnMut(&DecodeField, usize) -> Option<usize>) -> Self {
        let mut layout = Self { taken: Vec::new(), absent: Vec::new() };
        for (output, field) in fields.iter().enumerate() {
            let FieldFrom::Column(declared) = field.from else { continue };
            match find(field, declared) {
                Some(index) => layout.taken.push((index, output)),
                None => layout.absent.push(output),
            }
        }
        layout.taken.sort_unstable();
        layout
    }

    fn by_names<T: AsRef<str>>(fields: &[DecodeField], names: &[T]) -> Self {
        Self::new(fields, |field, _| position(names, &field.name))
    }

    /// A query may use nfdump's old names or the new ones, whichever the rows have.
    fn by_either_name<T: AsRef<str>>(fields: &[DecodeField], names: &[T]) -> Self {
        let find = |name: &str| position(names, name).or_else(|| position(names, other_name(name)?));
        Self::new(fields, |field, _| find(&field.name))
    }

    /// Fields that a row must have.
    pub(super) fn columns_min(&self) -> usize {
        self.taken.last().map_or(0, |(index, _)| index + 1)
    }
}

/// The name as it is written, else ignoring case: SQL folds names.
fn position<T: AsRef<str>>(names: &[T], name: &str) -> Option<usize> {
    let exact = names.iter().position(|candidate| candidate.as_ref() == name);
    exact.or_else(|| names.iter().position(|candidate| candidate.as_ref().eq_ignore_ascii_case(name)))
}

/// How rows find their layout.
#[derive(Clone, Debug)]
pub(super) enum Mapping {
    /// One layout for all; `None` until the header has been seen.
    One(Option<Layout>),
    /// By column count. The header's layout, if one was seen, comes before the known ones.
    Nfdump { header: Option<(usize, Layout)>, known: Vec<(usize, Layout)> },
}

/// What a row's column count says.
pub(super) enum Found<'a> {
    Layout(&'a Layout),
    /// Fewer columns than any record of nfdump.
    TooShort,
    /// No header yet: this row is it.
    NeedsHeader,
    /// More columns than nfdump's, but no known record: only the first 48 are sure, and the query uses others.
    Unknown,
}

impl Mapping {
    /// Maps the used columns; an error names the column that can never be found.
    pub(super) fn new(columns: &Columns, spec: &DecodeSpec) -> Result<Self> {
        let fields = &spec.fields;
        match columns {
            Columns::Position => Ok(Self::one(Layout::new(fields, |_, declared| Some(declared)))),
            Columns::Header => Ok(Self::One(None)),
            Columns::Names(names) => {
                let layout = Layout::by_names(fields, names);
                let hint = format!("listed are `{}`", names.join("`, `"));
                all_found(&layout, fields, "is not in `csv.columns`", &hint)?;
                Ok(Self::one(layout))
            }
            Columns::Nfdump => {
                let is_absent = |field: &DecodeField| field.from != FieldFrom::Value && !is_known(&field.name);
                if let Some(field) = fields.iter().find(|field| is_absent(field)) {
                    return Err(no_such_column(&field.name, "is none of nfdump's or the detection system's")
                        .hint("use `csv.columns = 'header'` where a header names it, or list the names"));
                }
                let layout = |names: Vec<&'static str>| (names.len(), Layout::by_either_name(fields, &names));
                Ok(Self::Nfdump { header: None, known: known_layouts().map(layout).into() })
            }
        }
    }

    fn one(layout: Layout) -> Self {
        Self::One(Some(layout))
    }

    /// Takes a header's names.
    pub(super) fn header(&mut self, names: &[String], fields: &[DecodeField]) {
        match self {
            Self::One(layout) => *layout = Some(Layout::by_names(fields, names)),
            Self::Nfdump { header, .. } => {
                *header = Some((names.len(), Layout::by_either_name(fields, names)));
            }
        }
    }

    /// The layout of a row with this many columns.
    #[inline]
    pub(super) fn find(&self, columns: usize) -> Found<'_> {
        match self {
            Self::One(None) => Found::NeedsHeader,
            Self::One(Some(layout)) => Found::Layout(layout),
            Self::Nfdump { header, known } => {
                let found = header.iter().chain(known).find(|(count, _)| *count == columns);
                let first_48 = &known[0].1;
                match found {
                    Some((_, layout)) => Found::Layout(layout),
                    None if columns < NFDUMP.len() => Found::TooShort,
                    None if first_48.absent.is_empty() => Found::Layout(first_48),
                    None => Found::Unknown,
                }
            }
        }
    }

    /// What a scan has to note for any row that may come.
    pub(super) fn wanted(&self) -> Wanted {
        let layouts: Vec<&Layout> = match self {
            Self::One(layout) => layout.iter().collect(),
            Self::Nfdump { header, known } => header.iter().chain(known).map(|(_, layout)| layout).collect(),
        };
        Wanted::new(layouts.into_iter().flat_map(|layout| layout.taken.iter().map(|(index, _)| *index)))
    }
}

/// The other name of a column that nfdump 1.7.5 renamed, in either direction.
fn other_name(name: &str) -> Option<&'static str> {
    RENAMED.iter().find_map(|(new, old)| match () {
        () if new.eq_ignore_ascii_case(name) => Some(*old),
        () if old.eq_ignore_ascii_case(name) => Some(*new),
        () => None,
    })
}

fn all_found(layout: &Layout, fields: &[DecodeField], problem: &str, hint: &str) -> Result<()> {
    match layout.absent.first() {
        None => Ok(()),
        Some(&output) => Err(no_such_column(&fields[output].name, problem).hint(hint)),
    }
}

fn no_such_column(name: &str, problem: &str) -> Error {
    Error::invalid(format!("column `{name}` {problem}"))
}
