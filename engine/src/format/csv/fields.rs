//! Which field of a row is which column.
//!
//! Rows of one stream may differ: nfdump's 48 columns, the detection system's 57 or 71, and what was glued on in between. Each
//! row is read by the layout that its own column count (or the header above it) names, never by its neighbour's.

use super::super::{DecodeField, DecodeSpec, FieldFrom, shorten};
use super::scan::Wanted;
use super::{Columns, CsvOptions, ExtraColumns};
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

/// Columns of the longest of [`known_layouts`].
const KNOWN_MAX: usize = 74;

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
    /// Fields that a row may have.
    columns_max: usize,
}

impl Layout {
    /// Finds each used column with `find`; a row has at most `columns_max` fields.
    fn new(
        fields: &[DecodeField],
        columns_max: usize,
        mut find: impl FnMut(&DecodeField, usize) -> Option<usize>,
    ) -> Self {
        let mut layout = Self { taken: Vec::new(), absent: Vec::new(), columns_max };
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

    /// Every used column has to be there, once; says which is not.
    fn by_names(fields: &[DecodeField], names: &[String]) -> Result<Self, String> {
        let used = || fields.iter().filter(|field| field.from != FieldFrom::Value);
        if let Some(field) = used().find(|field| positions(names, &field.name).count() != 1) {
            let count = if positions(names, &field.name).next().is_none() { "no" } else { "more than one" };
            return Err(format!("{count} column `{}`", field.name));
        }
        Ok(Self::new(fields, names.len(), |field, _| positions(names, &field.name).next()))
    }

    /// A query may use nfdump's old names or the new ones, whichever the rows have.
    fn by_either_name<T: AsRef<str>>(fields: &[DecodeField], names: &[T]) -> Self {
        let find = |name: &str| positions(names, name).next().or_else(|| positions(names, other_name(name)?).next());
        Self::new(fields, names.len(), |field, _| find(&field.name))
    }

    fn with(self, extra_columns: ExtraColumns) -> Self {
        match extra_columns {
            ExtraColumns::Reject => self,
            ExtraColumns::Ignore => Self { columns_max: usize::MAX, ..self },
        }
    }

    /// Fields that a row must have.
    pub(super) fn columns_min(&self) -> usize {
        self.taken.last().map_or(0, |(index, _)| index + 1)
    }
}

/// Where the name is as it is written, else ignoring case: SQL folds names.
fn positions<'a, T: AsRef<str>>(names: &'a [T], name: &'a str) -> impl Iterator<Item = usize> {
    let has_exact = names.iter().any(|candidate| candidate.as_ref() == name);
    let is_it = move |candidate: &str| candidate == name || (!has_exact && candidate.eq_ignore_ascii_case(name));
    names.iter().enumerate().filter(move |(_, candidate)| is_it(candidate.as_ref())).map(|(index, _)| index)
}

/// How rows find their layout.
#[derive(Clone, Debug)]
pub(super) enum Mapping {
    /// One layout for all.
    One(Layout),
    /// By the header above the row.
    Header { header: Header, extra_columns: ExtraColumns },
    /// By column count. The header's layout, if one was seen, comes before the known ones.
    Nfdump { header: Option<(usize, Layout)>, known: Vec<(usize, Layout)>, extra_columns: ExtraColumns },
}

#[derive(Clone, Debug)]
pub(super) enum Header {
    /// The next row is it.
    Missing,
    Found(Layout),
    /// A used column is not in it, or twice.
    Refused(String),
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
    /// More columns than this, the most that a row may have.
    TooLong(usize),
    /// The header does not fit the table.
    BadHeader(&'a str),
}

impl Mapping {
    /// Maps the used columns; an error names the column that can never be found.
    pub(super) fn new(options: &CsvOptions, spec: &DecodeSpec) -> Result<Self> {
        let fields = &spec.fields;
        let extra_columns = options.extra_columns();
        match &options.columns {
            Columns::Position => {
                let layout = Layout::new(fields, spec.declared.len(), |_, declared| Some(declared));
                Ok(Self::One(layout.with(extra_columns)))
            }
            Columns::Header => Ok(Self::Header { header: Header::Missing, extra_columns }),
            Columns::Names(names) => {
                let layout = Layout::by_names(fields, names).map_err(|problem| {
                    Error::invalid(format!("`csv.columns` lists {problem}"))
                        .hint(format!("listed are `{}`", names.join("`, `")))
                })?;
                Ok(Self::One(layout.with(extra_columns)))
            }
            Columns::Nfdump => {
                let is_absent = |field: &DecodeField| field.from != FieldFrom::Value && !is_known(&field.name);
                if let Some(field) = fields.iter().find(|field| is_absent(field)) {
                    return Err(Error::invalid(format!(
                        "column `{}` is none of nfdump's or the detection system's",
                        field.name
                    ))
                    .hint("use `csv.columns = 'header'` where a header names it, or list the names"));
                }
                let layout = |names: Vec<&'static str>| (names.len(), Layout::by_either_name(fields, &names));
                Ok(Self::Nfdump { header: None, known: known_layouts().map(layout).into(), extra_columns })
            }
        }
    }

    /// Takes a header's names.
    pub(super) fn header(&mut self, names: &[String], fields: &[DecodeField]) {
        match self {
            Self::One(_) => {}
            Self::Header { header, extra_columns } => {
                *header = match Layout::by_names(fields, names) {
                    Ok(layout) => Header::Found(layout.with(*extra_columns)),
                    Err(problem) => Header::Refused(format!("the header `{}` has {problem}", listed(names))),
                };
            }
            Self::Nfdump { header, .. } => {
                *header = Some((names.len(), Layout::by_either_name(fields, names)));
            }
        }
    }

    /// Forgets the header: the next message may come from another producer.
    pub(super) fn forget_header(&mut self) {
        match self {
            Self::One(_) => {}
            Self::Header { header, .. } => *header = Header::Missing,
            Self::Nfdump { header, .. } => *header = None,
        }
    }

    /// What is wrong with the header.
    pub(super) fn bad_header(&self) -> Option<&str> {
        match self {
            Self::Header { header: Header::Refused(problem), .. } => Some(problem),
            _ => None,
        }
    }

    /// The layout of a row with this many columns.
    #[inline]
    pub(super) fn find(&self, columns: usize) -> Found<'_> {
        match self {
            Self::Header { header: Header::Missing, .. } => Found::NeedsHeader,
            Self::Header { header: Header::Refused(problem), .. } => Found::BadHeader(problem),
            Self::One(layout) | Self::Header { header: Header::Found(layout), .. } => match layout.columns_max {
                most if most < columns => Found::TooLong(most),
                _ => Found::Layout(layout),
            },
            Self::Nfdump { header, known, extra_columns } => {
                let found = header.iter().chain(known).find(|(count, _)| *count == columns);
                let first_48 = &known[0].1;
                match found {
                    Some((_, layout)) => Found::Layout(layout),
                    None if columns < NFDUMP.len() => Found::TooShort,
                    None if *extra_columns == ExtraColumns::Reject && KNOWN_MAX < columns => Found::TooLong(KNOWN_MAX),
                    None if first_48.absent.is_empty() => Found::Layout(first_48),
                    None => Found::Unknown,
                }
            }
        }
    }

    /// What a scan has to note for any row that may come.
    pub(super) fn wanted(&self) -> Wanted {
        let layouts: Vec<&Layout> = match self {
            Self::One(layout) | Self::Header { header: Header::Found(layout), .. } => vec![layout],
            Self::Header { .. } => Vec::new(),
            Self::Nfdump { header, known, .. } => header.iter().chain(known).map(|(_, layout)| layout).collect(),
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

/// A header for a message: its first names.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown = names.iter().take(SHOWN).map(|name| shorten(name.as_bytes())).collect::<Vec<_>>().join(",");
    if names.len() <= SHOWN { shown } else { format!("{shown},…") }
}
