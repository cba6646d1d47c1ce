//! A planner for tests. Its scripts are words:
//!
//! | script | means |
//! |---|---|
//! | `tasks <n> …` | one dataflow of one stage with that many tasks; what follows makes another fingerprint |
//! | `wrong …` | invalid, at line 2, column 5 |
//! | `lost …` | state would be lost, unless it runs under a new name |
//! | `away …` | the broker is away |
//! | `bug …` | panics |
//! | `wait …` | blocks until [`FakePlanner::go_on`], then has one task |

use std::sync::{Condvar, Mutex};
use std::time::Duration;

use davy_coordinator::planner::{Planner, Refusal, Tail};
use davy_proto::Location;
use davy_proto::domain::{DataflowShape, Script, StageShape, TailRow};

const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct FakePlanner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    n_waiting: usize,
    may_go_on: bool,
}

impl FakePlanner {
    pub(super) fn go_on(&self) {
        self.state.lock().expect("no panic").may_go_on = true;
        self.changed.notify_all();
    }

    /// Blocks until a script waits.
    pub(super) fn until_one_waits(&self) {
        let state = self.state.lock().expect("no panic");
        let waited = self.changed.wait_timeout_while(state, PATIENCE, |state| state.n_waiting == 0);
        let waited = waited.expect("no panic").1;
        assert!(!waited.timed_out(), "no script waits");
    }

    fn wait(&self) {
        let mut state = self.state.lock().expect("no panic");
        state.n_waiting += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.may_go_on).expect("no panic"));
    }

    fn shape(&self, script: &Script, kafka_name: Option<&str>) -> Result<Vec<DataflowShape>, Refusal> {
        let mut words = script.sql.split_whitespace();
        let n_tasks = match words.next() {
            Some("tasks") => words.next().and_then(|n| n.parse().ok()).unwrap_or(1),
            Some("wait") => {
                self.wait();
                1
            }
            Some("wrong") => {
                return Err(Refusal::Invalid {
                    message: "there is no table `flowz`".to_owned(),
                    location: Some(Location { line: 2, column: 5 }),
                    hint: Some("did you mean `flows`?".to_owned()),
                });
            }
            Some("lost") if kafka_name.is_some_and(|name| !name.contains("---r")) => {
                return Err(Refusal::Precondition {
                    message: "the windows of the old script have other keys".to_owned(),
                    hint: "keep the keys".to_owned(),
                });
            }
            Some("away") => return Err(Refusal::Unavailable("the broker is away".to_owned())),
            Some("bug") => panic!("a bug of the planner"),
            _ => 1,
        };
        let stage = StageShape { input: "flows".to_owned(), n_tasks };
        Ok(vec![DataflowShape { sink: "verdicts".to_owned(), fingerprint: script.sql.clone(), stages: vec![stage] }])
    }
}

impl Planner for FakePlanner {
    fn plan(&self, script: &Script) -> Result<Vec<DataflowShape>, Refusal> {
        let mut shapes = self.shape(script, None)?;
        shapes.iter_mut().flat_map(|shape| &mut shape.stages).for_each(|stage| stage.n_tasks = 0);
        Ok(shapes)
    }

    fn explain(&self, script: &Script) -> Result<String, Refusal> {
        self.shape(script, None).map(|shapes| format!("{shapes:?}"))
    }

    fn plan_tasks(&self, script: &Script, kafka_name: &str, wanted: u32) -> Result<Vec<DataflowShape>, Refusal> {
        let mut shapes = self.shape(script, Some(kafka_name))?;
        shapes.iter_mut().flat_map(|shape| &mut shape.stages).for_each(|stage| {
            stage.n_tasks = stage.n_tasks.min(wanted);
        });
        Ok(shapes)
    }

    fn tail(&self, _: &Script, table: Option<&str>, from_beginning: bool) -> Result<Box<dyn Tail>, Refusal> {
        match table {
            Some("verdicts") | None => Ok(Box::new(Rows { offset: if from_beginning { 0 } else { 100 } })),
            Some(table) => Err(Refusal::Invalid {
                message: format!("the script writes no table `{table}`"),
                location: None,
                hint: Some("it writes `verdicts`".to_owned()),
            }),
        }
    }
}

/// A topic that never ends.
struct Rows {
    offset: i64,
}

impl Tail for Rows {
    fn next(&mut self, _: Duration) -> Result<Vec<TailRow>, Refusal> {
        let row = |offset| TailRow { topic: "verdicts".to_owned(), offset, ..TailRow::default() };
        self.offset += 20;
        Ok((self.offset - 20..self.offset).map(row).collect())
    }
}
