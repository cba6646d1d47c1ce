//! Which worker each task belongs to: a pure function of the workers, the tasks and where they are now.
//!
//! * TOTAL: with at least one worker every task has a worker, also when there are more tasks than slots.
//! * BALANCED: no move of a single task would make load (tasks per slot) more even: for all workers `a` and `b`,
//!   `(n_b + 1) / slots_b >= n_a / slots_a`.
//! * STICKY: a task moves only where balance demands it, and no fewer moves would do.
//! * RACK-AWARE: among equally loaded choices a task goes to the zone with fewest tasks of its stage, and within it to the worker with
//!   fewest of them. Balance comes first, and a task never moves for that alone.
//! * DETERMINISTIC: the same facts give the same answer, in whatever order they come.
//!
//! The balanced placements are those that D'Hondt's method finds, seats being tasks and votes slots: give each next task to the worker
//! whose load would be least with it. So tasks without an owner are placed that way first, and then tasks move from the fullest worker to
//! the emptiest for as long as that helps; a worker that was given a task in the first half gives none away in the second.
//!
//! A task that failed on a worker avoids it, and for that time does not count for balance: otherwise a task that can run nowhere would
//! push healthy tasks from worker to worker. Such tasks are placed last, on top of the others.
//!
//! The cost is about tasks × workers, and moves × stages × zones: a few milliseconds for 1,000 tasks on 100 workers.

mod board;

use std::collections::BTreeMap;

use davy_proto::domain::{TaskId, WorkerId};

use board::Board;

/// A worker that may take tasks: neither lost nor draining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    pub id: WorkerId,
    /// How many tasks it takes without being crowded; 0 counts as 1, since every worker that registers takes tasks.
    pub slots: u32,
    /// Such as `zone=a`.
    pub labels: BTreeMap<String, String>,
}

/// A task that must run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeable {
    pub task: TaskId,
    /// Its present or next worker; it counts only if that is a candidate.
    pub owner: Option<WorkerId>,
    /// The worker where it failed recently.
    pub avoid: Option<WorkerId>,
}

/// Why a task is where it was before.
pub const KEPT: &str = "kept where it is";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub worker: WorkerId,
    pub reason: String,
}

/// The worker for every task; empty if there is no candidate. `zone_label` names the label that distinguishes zones; workers without it
/// share one.
pub fn assign(candidates: &[Candidate], tasks: &[Placeable], zone_label: &str) -> BTreeMap<TaskId, Placement> {
    let mut board = Board::new(candidates, zone_label);
    if board.is_empty() {
        return BTreeMap::new();
    }
    let mut tasks: Vec<&Placeable> = tasks.iter().collect();
    tasks.sort_by(|a, b| a.task.cmp(&b.task));
    tasks.dedup_by(|a, b| a.task == b.task);
    let (wary, steady): (Vec<&Placeable>, Vec<&Placeable>) =
        tasks.into_iter().partition(|task| board.can_avoid(task.avoid.as_ref()));

    let mut placed = keep_or_place(&mut board, &steady);
    placed.extend(even_out(&mut board));
    placed.extend(keep_or_place(&mut board, &wary));
    placed
}

/// Keeps tasks where they are if they can stay there, then places the others.
fn keep_or_place(board: &mut Board, tasks: &[&Placeable]) -> BTreeMap<TaskId, Placement> {
    let mut placed = BTreeMap::new();
    let mut homeless = Vec::new();
    for task in tasks {
        let owner = task.owner.as_ref().filter(|owner| Some(*owner) != task.avoid.as_ref() || board.len() == 1);
        match owner.and_then(|owner| board.find(owner)) {
            Some(seat) => {
                board.put(&task.task, seat);
                let reason = KEPT.to_owned();
                placed.insert(task.task.clone(), Placement { worker: board.worker(seat).clone(), reason });
            }
            None => homeless.push(*task),
        }
    }
    for task in homeless {
        let choice = board.choose(&task.task, task.avoid.as_ref());
        board.put(&task.task, choice.seat);
        let worker = board.worker(choice.seat).clone();
        placed.insert(task.task.clone(), Placement { reason: why_here(task, &choice), worker });
    }
    placed
}

/// Moves tasks from the fullest workers to the emptiest for as long as that helps.
fn even_out(board: &mut Board) -> BTreeMap<TaskId, Placement> {
    let mut placed = BTreeMap::new();
    while let Some(step) = board.next_move() {
        let (a, b) = (board.describe(step.from), board.describe(step.to));
        let reason = format!("moved: {a}, {b}");
        board.shift(&step);
        placed.insert(step.task.clone(), Placement { worker: board.worker(step.to).clone(), reason });
    }
    placed
}

fn why_here(task: &Placeable, choice: &board::Choice) -> String {
    let left = match (&task.owner, &task.avoid) {
        (_, Some(avoid)) => format!("it failed on worker `{avoid}`; "),
        (Some(owner), None) => format!("worker `{owner}` is lost or leaves; "),
        (None, None) => String::new(),
    };
    let choice = match &choice.zone {
        Some(zone) => format!("placed in zone `{zone}`, which has fewest tasks of its stage"),
        None => "placed on the worker with least load".to_owned(),
    };
    left + &choice
}

#[cfg(test)]
mod tests;
