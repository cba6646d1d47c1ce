//! A script, an input and what the oracle makes of them, each found once and shared by many runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use davy_engine::plan::StageInput;

use crate::oracle;
use crate::random::Rng;
use crate::random::agree::late_lines;
use crate::random::scripts::{BOUND_MS, Planned, Script, by_name, planned};
use crate::random::stream::{Input, Shape};
use crate::support::World;

/// Scripts whose late rows the oracle can be kept from: tumbling windows of ten seconds.
const WILD: &[&str] = &["tumble", "global aggregate", "windows of windows"];
/// The others read streams within the bound on disorder.
const ORDERLY: &[&str] = &[
    "hop that divides",
    "session",
    "session without keys",
    "stateless",
    "join of windows",
    "union of two sources",
    "two queries",
    "top two by limit",
];

const SHAPE: Shape = Shape { n_rows_max: 24, disorder_ms: 6 * BOUND_MS, bad_percent: 10 };

/// Inputs per script.
const INPUTS: u64 = 12;

pub struct Case {
    pub script: &'static Script,
    pub planned: Arc<Planned>,
    pub input: Input,
    /// The rows of each sink but that of dead letters, sorted.
    pub expected: BTreeMap<String, Vec<String>>,
    /// How many dead letters each split has.
    pub n_bad: BTreeMap<String, usize>,
}

/// By the script's name and the input's number.
type Known = HashMap<(&'static str, u64), Arc<Case>>;

impl Case {
    /// The case of a seed.
    pub fn of(seed: u64) -> Arc<Self> {
        let mut rng = Rng::new(seed ^ 0xca5e);
        let n_scripts = WILD.len() + ORDERLY.len();
        let number = rng.below(n_scripts);
        let is_wild = number < WILD.len();
        let name = if is_wild { WILD[number] } else { ORDERLY[number - WILD.len()] };
        let input_seed = rng.next() % INPUTS;
        static KNOWN: Mutex<Option<Known>> = Mutex::new(None);
        if let Some(case) =
            KNOWN.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().get(&(name, input_seed))
        {
            return Arc::clone(case);
        }
        // A stateless query takes rows without a time too, which are bad to the others.
        let bad_percent = if name == "stateless" { 0 } else { SHAPE.bad_percent };
        let shape = if is_wild { SHAPE } else { Shape { disorder_ms: BOUND_MS, bad_percent, ..SHAPE } };
        let case = Arc::new(Self::new(by_name(name), input_seed, shape));
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_default().insert((name, input_seed), Arc::clone(&case));
        case
    }

    fn new(script: &'static Script, input_seed: u64, shape: Shape) -> Self {
        let mut rng = Rng::new(input_seed);
        let mut input = Input::random(&mut rng, shape);
        input.join(&mut rng, shape);
        // A stateless query has no event time.
        if script.name != "stateless" {
            input.add_future(&mut rng);
        }
        let (seen, late) = input.seen_on_time(10_000);
        let mut expected = oracle::rows(&World::default(), &script.oracle_text(), &seen).expect("the oracle answers");
        let texts: Vec<String> = late.into_iter().map(|row| row.text).collect();
        let is_wild = WILD.contains(&script.name);
        let late = if is_wild && !texts.is_empty() { late_lines(&texts).expect("late rows print") } else { Vec::new() };
        expected.insert("late".into(), late);
        let text = script.text_with_sides().replace("late_table =", "max_future = '1 hour', late_table =");
        let planned = planned(&text);
        // Each query reads for itself, and reports its own bad records.
        let stages = planned.dataflows.iter().flat_map(|dataflow| &dataflow.stages);
        let n_readers =
            stages.filter(|stage| matches!(&stage.input, StageInput::Table(plan) if *plan.table.name == *"flows"));
        let n_readers = n_readers.count();
        let mut n_bad = BTreeMap::new();
        for row in input.0["flows"].iter().filter(|row| row.time_ms.is_none()) {
            *n_bad.entry(format!("flows/{}", &row.split.0[1..])).or_default() += n_readers;
        }
        Self { script, planned, input, expected, n_bad }
    }
}
