//! MITRE ATT&CK: what an alert's technique is called.

/// The technique of alerts that do not name one: Compute Hijacking, which is cryptomining.
const DEFAULT: &str = "T1496.001";

pub(super) const FRAMEWORK: &str = "MITRE ATT&CK";

/// Of ATT&CK 16; names of others are not known here.
const NAMES: [(&str, &str); 5] = [
    ("T1496", "Resource Hijacking"),
    ("T1496.001", "Compute Hijacking"),
    ("T1496.002", "Bandwidth Hijacking"),
    ("T1496.003", "SMS Pumping"),
    ("T1496.004", "Cloud Service Hijacking"),
];

/// An id of ATT&CK with its name; where that is not known, the id again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) id: String,
    pub(super) name: String,
}

impl Entry {
    fn new(id: &str) -> Self {
        let name = NAMES.iter().find(|(known, _)| *known == id).map_or(id, |(_, name)| name);
        Self { id: id.to_owned(), name: name.to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attack {
    pub(super) tactic: Option<Entry>,
    pub(super) technique: Entry,
    pub(super) sub_technique: Option<Entry>,
}

impl Attack {
    /// Of a technique such as `T1496` or `T1496.001`; of cryptomining where there is none.
    pub(super) fn new(technique: Option<&str>) -> Self {
        let id = technique.unwrap_or(DEFAULT);
        let parent = id.split_once('.').map_or(id, |(parent, _)| parent);
        let is_hijacking = parent == "T1496";
        Self {
            tactic: is_hijacking.then(|| Entry { id: "TA0040".to_owned(), name: "Impact".to_owned() }),
            technique: Entry::new(parent),
            sub_technique: (parent != id).then(|| Entry::new(id)),
        }
    }

    /// The most exact id.
    pub(super) fn id(&self) -> &str {
        &self.sub_technique.as_ref().unwrap_or(&self.technique).id
    }
}
