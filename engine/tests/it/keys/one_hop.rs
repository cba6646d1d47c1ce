//! Windows in the task that reads the rows: each split has the whole limit, and rows are read again in another order of the splits.

use super::{Arrival, HOPPING, NS, Shape, TUMBLING, model};
use crate::random::{Rng, check_shrunk_list, for_seeds};
use crate::revived::one_hop::{Crashes, Event, rig_of, run, with_end};
use crate::revived::rig::Rig;

const MAX_KEYS: usize = 2;
/// By which the watermark stays behind, in seconds.
const BOUND: i64 = 3;

fn rig(shape: Shape, seed: u64) -> Rig {
    let text = format!(
        "CREATE TABLE late (ts TIMESTAMP, k TEXT) WITH (connector = 'sink', format = 'json');
         CREATE TABLE flows (ts TIMESTAMP, k TEXT, WATERMARK FOR ts AS ts - INTERVAL '{BOUND} seconds')
         WITH (connector = 'test', format = 'json', partitioned_by = 'k', late_table = 'late',
               max_keys = '{MAX_KEYS}', overflow = 'drop_new');
         {}",
        shape.query()
    );
    let rig = rig_of(&text);
    let state_bytes = crate::support::state_bytes(seed, usize::MAX);
    rig.with_limits(state_bytes, *Rng::new(seed).pick(&[1, 3, 1 << 18]))
}

/// The rows of each split, with its watermark before each.
fn arrivals(events: &[Event]) -> Vec<Vec<Arrival>> {
    let mut arrivals = vec![Vec::new(), Vec::new()];
    let mut watermarks = [i64::MIN / NS; 2];
    for event in events {
        let Event::Row(split, key, second) = event else { continue };
        let watermark = watermarks[*split];
        arrivals[*split].push(Arrival { key: format!("{split}{key}"), second: *second, n: 1, watermark });
        watermarks[*split] = watermark.max(second - BOUND);
    }
    arrivals
}

fn check(shape: Shape, events: &[Event], seed: u64) -> Result<(), String> {
    let rig = rig(shape, seed);
    let events = with_end(events);
    let mut expected = model(shape, MAX_KEYS, &arrivals(&events));
    // The windows of the last rows stay open.
    expected.lines.retain(|line| !line.split(" | ").next().is_some_and(|key| key.ends_with('e')));
    for crashes in std::iter::once(Crashes::default()).chain(Crashes::of(&events)) {
        let found = run(&rig, &events, &crashes, seed);
        let lines = found.get("results").cloned().unwrap_or_default();
        let n_late = found.get("late").map_or(0, Vec::len) as i64;
        if lines != expected.lines || n_late != expected.n_late {
            return Err(format!("{crashes:?}: {found:#?}\n{expected:#?}"));
        }
    }
    Ok(())
}

fn random_events(rng: &mut Rng) -> Vec<Event> {
    let mut latest = 0;
    let event = |_| {
        if rng.percent(30) {
            return Event::Commit;
        }
        latest += rng.between(0, 4);
        let behind = if rng.percent(15) { 25 } else { BOUND };
        Event::Row(rng.below(2), *rng.pick(&['a', 'b', 'c', 'd']), rng.between(latest - behind, latest))
    };
    (0..30).map(event).collect()
}

#[test]
fn the_first_keys_of_each_split_are_kept_whatever_crashes() {
    for_seeds("keys::one_hop::the_first_keys_of_each_split_are_kept_whatever_crashes", 8, |seed| {
        let shape = [TUMBLING, HOPPING][seed as usize % 2];
        check_shrunk_list(random_events(&mut Rng::new(seed)), |events| check(shape, events, seed))
    });
}

#[test]
fn some_keys_are_left_out_and_some_rows_late() {
    let expected = |seed| model(TUMBLING, MAX_KEYS, &arrivals(&random_events(&mut Rng::new(seed))));
    let n = (0..30).map(expected).filter(|expected| 0 < expected.n_dropped_rows && 0 < expected.n_late).count();
    assert!(10 < n, "{n}");
}
