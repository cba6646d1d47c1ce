//! Traces as data: a simulated pipeline gets a load and the workers that are decided, and must end at the right number without flapping.

use davy_proto::domain::Messages;
use proptest::prelude::*;

use super::*;

/// What one busy worker reads, in rows a second.
const SPEED: f64 = 10_000.0;

const SLOTS: u32 = 4;

/// Workers need so many seconds to come.
const START_S: usize = 20;

/// A load: rows a second that arrive, by second.
struct Trace {
    name: &'static str,
    length_s: u32,
    arriving: fn(u32) -> f64,
    n_tasks: u32,
    /// The share of rows that go to one task.
    hot_share: f64,
    workers: u32,
    ends_at: u32,
    changes_max: usize,
    says: &'static str,
}

const EVEN: Trace = Trace {
    name: "steady",
    length_s: 1_200,
    arriving: |_| 6_000.0,
    n_tasks: 64,
    hot_share: 0.0,
    workers: 1,
    ends_at: 1,
    changes_max: 0,
    says: "busy 60 % of 1 worker, below 70 %: 1 worker",
};

const TRACES: &[Trace] = &[
    EVEN,
    Trace {
        name: "ramp",
        length_s: 3_600,
        arriving: |s| 3_000.0 + f64::from(s.min(1_800)) * 30.0,
        // 57,000 rows/s need 8.1 workers, which is near enough to 8.
        ends_at: 8,
        changes_max: 7,
        says: "busy 71 % of 8 workers, above 70 %: 8 workers",
        ..EVEN
    },
    Trace {
        name: "spike of two seconds",
        arriving: |s| if (600..602).contains(&s) { 60_000.0 } else { 5_000.0 },
        changes_max: 0,
        says: "busy 50 % of 1 worker",
        ..EVEN
    },
    Trace {
        name: "spike of ten minutes",
        length_s: 3_600,
        arriving: |s| if (600..1_200).contains(&s) { 30_000.0 } else { 5_000.0 },
        changes_max: 6,
        says: "busy 50 % of 1 worker",
        ..EVEN
    },
    Trace {
        name: "night",
        length_s: 2_400,
        arriving: |s| if s < 300 { 50_000.0 } else { 1_000.0 },
        workers: 8,
        changes_max: 1,
        says: "busy 10 % of 1 worker, below 70 %: 1 worker",
        ..EVEN
    },
    Trace {
        name: "one hot partition",
        arriving: |_| 12_000.0,
        n_tasks: 16,
        hot_share: 0.9,
        workers: 2,
        ends_at: 2,
        changes_max: 0,
        says: "but only 1 of 16 tasks is behind, and a task fills one slot: more workers cannot help",
        ..EVEN
    },
    Trace {
        name: "flapping input",
        length_s: 3_600,
        arriving: |s| if s / 45 % 2 == 0 { 4_000.0 } else { 16_000.0 },
        ends_at: 3,
        changes_max: 2,
        says: "",
        ..EVEN
    },
    Trace {
        name: "more than the most",
        arriving: |_| 200_000.0,
        ends_at: 16,
        changes_max: 4,
        says: "no more than `workers_max = 16`",
        ..EVEN
    },
    Trace {
        name: "more than the tasks can use",
        arriving: |_| 50_000.0,
        n_tasks: 8,
        ends_at: 2,
        changes_max: 1,
        says: "more",
        ..EVEN
    },
];

/// Tasks read what arrives, each at most what its share of a slot allows.
struct Simulation {
    lags: Vec<f64>,
    read: Vec<f64>,
    rows_per_message: f64,
}

impl Simulation {
    /// A second passes.
    fn step(&mut self, trace: &Trace, arriving: f64, workers: u32) {
        let n = f64::from(trace.n_tasks);
        let per_slot = SPEED / f64::from(SLOTS);
        // Slots are shared evenly when there are more tasks; a task never fills more than one.
        let share = (f64::from(workers * SLOTS) / n).min(1.0);
        for (index, (lag, read)) in self.lags.iter_mut().zip(&mut self.read).enumerate() {
            let even = arriving * (1.0 - trace.hot_share) / n;
            *lag += if index == 0 { even + arriving * trace.hot_share } else { even };
            let room = if index == 0 && trace.hot_share > 0.0 { per_slot } else { per_slot * share };
            *read = lag.min(room);
            *lag -= *read;
        }
    }

    fn sample(&self, at_s: u32, workers: u32, before: Option<&Sample>) -> Sample {
        let busy = |read: f64| read / (SPEED / f64::from(SLOTS));
        let tasks: Vec<TaskLoad> = (self.lags.iter().zip(&self.read))
            .map(|(lag, read)| TaskLoad {
                lag: Messages((lag / self.rows_per_message).round() as u64),
                rows_per_message: (*read > 0.0).then_some(self.rows_per_message),
                rows_per_second: *read,
                busy_ratio: busy(*read),
                watermark_ms: None,
            })
            .collect();
        let setting = Setting { at_ms: i64::from(at_s) * 1_000, workers_alive: workers, slots_per_worker: SLOTS };
        Sample::of(setting, &tasks, before)
    }
}

/// The last decision, and when each change was made, in seconds.
fn play(trace: &Trace, rows_per_message: f64) -> (Decision, Vec<(u32, u32)>) {
    let n_tasks = trace.n_tasks as usize;
    let mut simulation = Simulation { lags: vec![0.0; n_tasks], read: vec![0.0; n_tasks], rows_per_message };
    let (mut state, mut before) = (State::default(), None);
    let mut desired = vec![trace.workers];
    let mut changes = Vec::new();
    let mut last = None;
    for second in 0..trace.length_s {
        let workers = desired[desired.len().saturating_sub(START_S)];
        simulation.step(trace, (trace.arriving)(second), workers);
        let sample = simulation.sample(second, workers, before.as_ref());
        let (next, decision) = decide(&Options::default(), &state, &sample);
        let was = desired.last().copied().unwrap_or(trace.workers);
        if decision.desired_workers != was {
            changes.push((second, decision.desired_workers));
        }
        desired.push(decision.desired_workers);
        (state, before, last) = (next, Some(sample), Some(decision));
    }
    (last.expect("a trace has samples"), changes)
}

#[test]
fn every_trace_ends_at_the_right_number_without_flapping() {
    for (trace, rows_per_message) in TRACES.iter().flat_map(|trace| [(trace, 1.0), (trace, 100.0)]) {
        let (last, changes) = play(trace, rows_per_message);
        let name = format!("{}, {rows_per_message} rows a message", trace.name);
        assert_eq!(last.desired_workers, trace.ends_at, "{name}: {changes:?} {}", last.reason);
        assert!(changes.len() <= trace.changes_max, "{name}: {changes:?}");
        assert!(last.reason.contains(trace.says), "{name}: {}", last.reason);
        check_cool_downs(trace, &changes);
    }
}

fn check_cool_downs(trace: &Trace, changes: &[(u32, u32)]) {
    let options = Options::default();
    let mut was = (0, trace.workers);
    for (index, &(second, workers)) in changes.iter().enumerate() {
        let cool_down = if workers > was.1 { options.up_cool_down } else { options.down_cool_down };
        let waited = u64::from(second - was.0) >= cool_down.as_secs();
        assert!(waited || index == 0, "{}: moved at {} and {second}: {changes:?}", trace.name, was.0);
        was = (second, workers);
    }
}

#[test]
fn a_backlog_of_packed_messages_counts_by_its_rows() {
    let setting = Setting { at_ms: 0, workers_alive: 1, slots_per_worker: SLOTS };
    let busy = TaskLoad { rows_per_second: SPEED / f64::from(SLOTS), busy_ratio: 1.0, ..TaskLoad::default() };
    let desired = |lag, rows_per_message| {
        let tasks = vec![TaskLoad { lag: Messages(lag), rows_per_message, ..busy }; 64];
        let sample = Sample { busy_ratio: 1.0, rows_per_second: SPEED, ..Sample::of(setting, &tasks, None) };
        let sample = Sample { arriving_per_second: SPEED, ..sample };
        repeat(&Options::default(), &sample, State::default(), 60).1.last().expect("samples").desired_workers
    };
    // In 300 s, 64 tasks have to read 60,000 messages each, of 1 or of 100 rows.
    let plain = desired(60_000, Some(1.0));
    assert_eq!(plain, 4, "22,800 rows/s for workers that read 7,000");
    assert_eq!(desired(600, Some(100.0)), plain, "the same rows in fewer messages");
    assert!(plain < desired(60_000, Some(100.0)), "100 rows a message are 100 times the work");
    let mixed = |rows_per_message| TaskLoad { lag: Messages(10), rows_per_message, ..busy };
    let lag_rows = |tasks: &[TaskLoad]| Sample::of(setting, tasks, None).lag_rows;
    assert_eq!(
        lag_rows(&[mixed(Some(100.0)), mixed(None)]),
        2_000.0,
        "a task that has read nothing is taken for a usual one"
    );
    assert_eq!(lag_rows(&[mixed(None)]), 10.0);
}

fn steady(lag_rows: f64, workers: u32) -> Sample {
    Sample {
        workers_alive: workers,
        slots_per_worker: SLOTS,
        n_tasks: 64,
        lag_rows,
        rows_per_second: 7_000.0,
        arriving_per_second: 7_000.0,
        busy_ratio: 0.7 / f64::from(workers.max(1)),
        usable_slots: 64.0,
        ..Sample::default()
    }
}

/// Decisions of a sample that comes every second without change.
fn repeat(options: &Options, sample: &Sample, state: State, seconds: i64) -> (State, Vec<Decision>) {
    let mut state = state;
    let mut decisions = Vec::new();
    for second in 0..seconds {
        let (next, decision) = decide(options, &state, &Sample { at_ms: sample.at_ms + second * 1_000, ..*sample });
        state = next;
        decisions.push(decision);
    }
    (state, decisions)
}

#[test]
fn reasons_are_sentences() {
    let options = Options::default();
    let hot = Sample { tasks_behind: 1, usable_slots: 2.0, ..steady(1.2e6, 1) };
    let cases: &[(Sample, i64, &str)] = &[
        (steady(0.0, 1), 1, "busy 70 % of 1 worker, as it should be: 1 worker"),
        (
            steady(1.2e6, 1),
            1,
            "lag of 1.2 M rows needs 5 min at 4,000 rows/s more: 2 would do; waiting 15 s before scaling up",
        ),
        (steady(1.2e6, 1), 16, "lag of 1.2 M rows needs 5 min at 4,000 rows/s more: 2 workers"),
        (steady(0.0, 4), 89, "busy 18 % of 4 workers, below 70 %: 2 would do; waiting 212 s before scaling down"),
        (steady(0.0, 4), 301, "busy 18 % of 4 workers, below 70 %: 2 workers"),
        (
            Sample { delay_s: Some(750.0), ..steady(1.2e9, 1) },
            16,
            "lag of 1.2 G rows (results are 12 min late) needs 5 min at 4.0 M rows/s more: 573 workers; \
             no more than `workers_max = 16`",
        ),
        (
            hot,
            16,
            "lag of 1.2 M rows, but only 1 of 64 tasks is behind, and a task fills one slot: more workers cannot help, \
             more partitions or an evener key would: 1 worker",
        ),
        (
            Sample { workers_alive: 0, ..steady(5_000.0, 0) },
            5,
            "no worker is there, and 5,000 rows wait: as many as before",
        ),
        (
            Sample { rows_per_second: 0.0, busy_ratio: 0.0, ..steady(5_000.0, 2) },
            5,
            "5,000 rows wait, and none has been read yet that would say how fast a worker is: as many as before",
        ),
        (
            Sample { rows_per_second: 0.0, arriving_per_second: 0.0, busy_ratio: 0.0, ..steady(0.0, 1) },
            1,
            "busy 0 % of 1 worker, below 70 %: 1 worker",
        ),
        (Sample { slots_per_worker: SLOTS, workers_alive: 1, ..Sample::default() }, 1, "nothing to run: 1 worker"),
    ];
    for (sample, seconds, reason) in cases {
        let (_, decisions) = repeat(&options, sample, State::default(), *seconds);
        assert_eq!(decisions.last().map(|decision| decision.reason.as_str()), Some(*reason));
    }
}

#[test]
fn without_workers_the_desired_number_stays() {
    let options = Options::default();
    let (state, decisions) = repeat(&options, &steady(1.2e7, 1), State::default(), 60);
    let had = decisions.last().map(|decision| decision.desired_workers);
    assert_eq!(had, Some(7));
    let gone = Sample { at_ms: 60_000, ..steady(2.4e7, 0) };
    let (_, decisions) = repeat(&options, &gone, state, 1_000);
    assert!(decisions.iter().all(|decision| Some(decision.desired_workers) == had), "{decisions:?}");
    let (_, from_nothing) = repeat(&options, &gone, State::default(), 5);
    assert_eq!(from_nothing.last().map(|decision| decision.desired_workers), Some(1), "at least the least");
}

#[test]
fn without_tasks_there_may_be_no_worker_but_a_task_needs_one() {
    let options = Options { workers_min: 0, ..Options::default() };
    let idle = Sample { workers_alive: 1, slots_per_worker: SLOTS, ..Sample::default() };
    let (state, decisions) = repeat(&options, &idle, State::default(), 400);
    assert_eq!(decisions.last().map(|decision| decision.desired_workers), Some(0));
    let task = Sample { at_ms: 400_000, n_tasks: 1, workers_alive: 0, ..idle };
    assert_eq!(decide(&options, &state, &task).1.desired_workers, 1, "without waiting");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let default = Options::default;
    assert_eq!(default().check(), Ok(()));
    let cases = [
        (Options { workers_min: 5, workers_max: 4, ..default() }, "workers_max = 4"),
        (Options { workers_min: 0, workers_max: 0, ..default() }, "workers_max = 0"),
        (Options { target_utilisation: 0.0, ..default() }, "target_utilisation = 0"),
        (Options { target_utilisation: f64::NAN, ..default() }, "target_utilisation = NaN"),
        (Options { tolerance: 1.0, ..default() }, "tolerance = 1"),
        (Options { catch_up: Duration::ZERO, ..default() }, "catch_up"),
    ];
    for (options, named) in cases {
        assert!(options.check().is_err_and(|message| message.contains(named)), "{options:?}");
    }
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let load = (0.0..1e8_f64, 0.0..1e6_f64, 0.0..1e6_f64, 0.0..1.5_f64, 0.0..100.0_f64);
    (0_u32..40, 0_u32..16, 0_u32..100, load).prop_map(|(workers_alive, slots_per_worker, n_tasks, load)| Sample {
        workers_alive,
        slots_per_worker,
        n_tasks,
        lag_rows: load.0,
        rows_per_second: load.1,
        arriving_per_second: load.2,
        busy_ratio: load.3,
        usable_slots: load.4.min(f64::from(n_tasks)),
        ..Sample::default()
    })
}

proptest! {
    #[test]
    fn the_number_stays_within_its_bounds(samples in prop::collection::vec(any_sample(), 1..200), step_s in 1_i64..60) {
        let options = Options { workers_min: 2, workers_max: 20, ..Options::default() };
        let mut state = State::default();
        for (at, sample) in (0..).zip(samples) {
            let sample = Sample { at_ms: at * step_s * 1_000, ..sample };
            let (next, decision) = decide(&options, &state, &sample);
            prop_assert!((2..=20).contains(&decision.desired_workers));
            state = next;
        }
    }

    #[test]
    fn more_lag_never_means_fewer_workers(
        samples in prop::collection::vec(any_sample(), 1..400), last in any_sample(), more in 0.0..1e9_f64,
    ) {
        let options = Options::default();
        let mut state = State::default();
        let mut at_ms = 0;
        for sample in samples {
            state = decide(&options, &state, &Sample { at_ms, ..sample }).0;
            at_ms += 1_000;
        }
        let last = Sample { at_ms, ..last };
        let without = decide(&options, &state, &last).1;
        let with = decide(&options, &state, &Sample { lag_rows: last.lag_rows + more, ..last }).1;
        prop_assert!(without.desired_workers <= with.desired_workers, "{} | {}", without.reason, with.reason);
    }

    #[test]
    fn a_constant_load_changes_the_number_once_at_most(sample in any_sample()) {
        let (_, decisions) = repeat(&Options::default(), &sample, State::default(), 1_000);
        let numbers: Vec<u32> = decisions.iter().map(|decision| decision.desired_workers).collect();
        let moves = numbers.windows(2).filter(|pair| pair[0] != pair[1]).count();
        prop_assert!(moves <= 1, "{numbers:?}");
    }
}
