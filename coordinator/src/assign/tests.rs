//! Small cases as rows, and the stated properties over random ones.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use davy_proto::domain::PipelineId;

/// `a:2:east` is worker `a` with 2 slots in zone `east`; `p1@a` is task 1 of pipeline `p`, which `a` owns; `p1!a` avoids `a`.
#[test]
fn tasks_go_where_load_is_least() {
    let rows = [
        ("", "p0 p1", ""),
        ("a:1", "p0 p1 p2", "p0@a p1@a p2@a"),
        ("a:2 b:1", "p0 p1 p2", "p0@a p1@b p2@a"),
        ("a:0 b:1", "p0 p1", "p0@a p1@b"),
        // An owner that is not among the workers owns nothing.
        ("a:1 b:1", "p0@a p1@x p2@x p3@b", "p0@a p1@a p2@b p3@b"),
        // Three and two are as even as five tasks can be.
        ("a:1 b:1", "p0@b p1@b p2@b p3@a p4@a", "p0@b p1@b p2@b p3@a p4@a"),
        ("a:2 b:2", "p0@a p1@a p2@a p3@a p4@a p5@b", "p0@b p1@b p2@a p3@a p4@a p5@b"),
        // Zones: the second task goes to the other zone though `b` is as empty as `c`.
        ("a:1:east b:1:east c:1:west", "p0 p1", "p0@a p1@c"),
        ("a:1:east b:1:east c:1:west", "p0 q0 q1 p1", "p0@a p1@c q0@b q1@c"),
        // Of what can move to the other zone, it is the stage that is crowded here.
        ("a:1:east b:1:west", "p0@a q0@a q1@a", "p0@a q0@b q1@a"),
        ("a:1:east b:1:west", "p0@a q0@a q1@b", "p0@a q0@a q1@b"),
        // A task avoids the worker where it failed, and no task makes room for it.
        ("a:1 b:1", "p0@b p1!a", "p0@b p1@b"),
        ("a:1 b:1", "p0@b p1@a!a", "p0@b p1@b"),
        ("a:1 b:1", "p0@b p1@b!a", "p0@b p1@b"),
        ("a:1", "p0!a", "p0@a"),
        ("a:1", "p0@a!a", "p0@a"),
    ];
    for (workers, tasks, expected) in rows {
        let placed = assign(&parse_workers(workers), &parse_tasks(tasks), "zone");
        let shown: Vec<String> = placed
            .iter()
            .map(|(task, place)| format!("{}{}@{}", task.pipeline.name, task.index, place.worker))
            .collect();
        assert_eq!(shown.join(" "), expected, "workers `{workers}`, tasks `{tasks}`");
    }
}

#[test]
fn a_placement_says_why() {
    let rows = [
        ("a:1", "p0", "p0", "placed on the worker with least load"),
        ("a:1", "p0@a", "p0", "kept where it is"),
        ("a:1", "p0@x", "p0", "worker `x` is lost or leaves; placed on the worker with least load"),
        ("a:1:e b:1:w", "p0@a p1", "p1", "placed on the worker with least load"),
        ("a:1:e b:1:e c:1:w", "p0@a p1", "p1", "placed in zone `w`, which has fewest tasks of its stage"),
        (
            "a:2 b:2",
            "p0@a p1@a p2@a",
            "p0",
            "moved: worker `a` had 3 tasks for 2 slots, worker `b` had 0 tasks for 2 slots",
        ),
        ("a:1 b:1", "p0!a", "p0", "it failed on worker `a`; placed on the worker with least load"),
    ];
    for (workers, tasks, task, expected) in rows {
        let placed = assign(&parse_workers(workers), &parse_tasks(tasks), "zone");
        let task = parse_tasks(task).remove(0).task;
        assert_eq!(placed[&task].reason, expected, "workers `{workers}`, tasks `{tasks}`");
    }
}

#[test]
fn a_thousand_tasks_on_a_hundred_workers_are_placed_and_evened_out() {
    let workers: Vec<Candidate> = (0..100).map(|n| worker(&format!("w{n:02}"), 10, ["a", "b", "c"][n % 3])).collect();
    let fresh: Vec<Placeable> = (0..1000).map(|n| task(&format!("p{}", n / 20), n % 20)).collect();
    let placed = assign(&workers, &fresh, "zone");
    assert!(counts(&workers, &placed).iter().all(|n| *n == 10));

    let crowded: Vec<Placeable> =
        fresh.iter().map(|task| Placeable { owner: Some(workers[0].id.clone()), ..task.clone() }).collect();
    let placed = assign(&workers, &crowded, "zone");
    assert!(counts(&workers, &placed).iter().all(|n| *n == 10));
}

proptest! {
    #[test]
    fn every_task_is_placed_once_and_no_move_would_be_more_even(case in cases()) {
        let placed = assign(&case.workers, &case.tasks, "zone");
        let tasks: BTreeSet<&TaskId> = case.tasks.iter().map(|task| &task.task).collect();
        prop_assert_eq!(tasks, placed.keys().collect::<BTreeSet<_>>());
        prop_assert!(is_balanced(&slots(&case.workers), &counts(&case.workers, &placed)));
    }

    #[test]
    fn no_fewer_moves_would_do(case in cases()) {
        let placed = assign(&case.workers, &case.tasks, "zone");
        let kept = kept(&case.workers, &case.tasks);
        let n_moves = moved(&case.workers, &case.tasks, &placed).len();
        prop_assert_eq!(n_moves, fewest_moves(&slots(&case.workers), &kept, case.tasks.len()));
    }

    #[test]
    fn a_second_call_moves_nothing(case in cases()) {
        let placed = assign(&case.workers, &case.tasks, "zone");
        let again = assign(&case.workers, &owned(&case.tasks, &placed), "zone");
        for (task, place) in &placed {
            prop_assert_eq!(&place.worker, &again[task].worker);
        }
    }

    #[test]
    fn the_order_of_the_facts_does_not_matter(case in cases(), turn in 0_usize..12) {
        let (mut workers, mut tasks) = (case.workers.clone(), case.tasks.clone());
        workers.reverse();
        tasks.rotate_left(turn % case.tasks.len().max(1));
        prop_assert_eq!(assign(&case.workers, &case.tasks, "zone"), assign(&workers, &tasks, "zone"));
    }

    #[test]
    fn when_a_worker_comes_tasks_move_only_to_it(case in cases(), slots in 1_u32..5) {
        let tasks = owned(&case.tasks, &assign(&case.workers, &case.tasks, "zone"));
        let mut workers = case.workers;
        workers.push(worker("new", slots, "a"));
        let placed = assign(&workers, &tasks, "zone");
        for task in moved(&workers, &tasks, &placed) {
            prop_assert_eq!(placed[&task].worker.0.as_ref(), "new");
        }
    }

    #[test]
    fn when_a_worker_goes_only_its_tasks_move(case in cases(), which in 0_usize..5) {
        let tasks = owned(&case.tasks, &assign(&case.workers, &case.tasks, "zone"));
        let mut workers = case.workers;
        let lost = workers.remove(which % workers.len());
        let placed = assign(&workers, &tasks, "zone");
        prop_assert_eq!(placed.is_empty(), workers.is_empty() || tasks.is_empty());
        prop_assert!(moved(&workers, &tasks, &placed).is_empty(), "tasks moved that were not on {}", lost.id);
    }

    #[test]
    fn a_stage_is_spread_over_zones_that_are_alike(n_zones in 1_usize..4, n_each in 1_usize..4, n_tasks in 0_u32..20) {
        let worker = |n: usize| worker(&format!("w{n}"), 2, ["a", "b", "c"][n % n_zones]);
        let workers: Vec<Candidate> = (0..n_zones * n_each).map(worker).collect();
        let tasks: Vec<Placeable> = (0..n_tasks).map(|n| task("p", n)).collect();
        let placed = assign(&workers, &tasks, "zone");
        let zone = |id: &WorkerId| workers.iter().find(|one| one.id == *id).unwrap().labels["zone"].clone();
        let mut by_zone: BTreeMap<String, u32> = workers.iter().map(|one| (zone(&one.id), 0)).collect();
        for place in placed.values() {
            *by_zone.get_mut(&zone(&place.worker)).unwrap() += 1;
        }
        let (least, most) = (by_zone.values().min().unwrap(), by_zone.values().max().unwrap());
        prop_assert!(most - least <= 1, "{:?}", by_zone);
    }

    #[test]
    fn tasks_that_failed_avoid_the_worker_and_push_no_others(case in cases(), n_wary in 0_usize..6) {
        prop_assume!(case.workers.len() > 1);
        let bad = case.workers[0].id.clone();
        let steady = owned(&case.tasks, &assign(&case.workers, &case.tasks, "zone"));
        let mut tasks = steady.clone();
        tasks.extend((0..n_wary).map(|n| Placeable { avoid: Some(bad.clone()), ..task("wary", n as u32) }));
        let placed = assign(&case.workers, &tasks, "zone");
        prop_assert_eq!(placed.len(), tasks.len());
        prop_assert!(moved(&case.workers, &steady, &placed).is_empty());
        for (_, place) in placed.iter().filter(|(task, _)| task.pipeline.name.as_ref() == "wary") {
            prop_assert_ne!(&place.worker, &bad);
        }
    }
}

#[derive(Clone, Debug)]
struct Case {
    workers: Vec<Candidate>,
    tasks: Vec<Placeable>,
}

/// Workers of 1 to 4 slots in up to three zones; tasks of up to three pipelines anywhere, also with workers that are gone.
fn cases() -> impl Strategy<Value = Case> {
    let workers = prop::collection::vec((1_u32..5, 0_usize..3), 1..5);
    let tasks = prop::collection::btree_map((0_usize..3, 0_u32..5), prop::option::of(0_usize..6), 0..12);
    (workers, tasks).prop_map(|(workers, tasks)| Case {
        workers: (0..)
            .zip(workers)
            .map(|(n, (slots, zone))| worker(&format!("w{n}"), slots, ["a", "b", "c"][zone]))
            .collect(),
        tasks: (tasks.into_iter())
            .map(|((pipeline, index), owner)| Placeable {
                owner: owner.map(|n| id(&format!("w{n}"))),
                ..task(["p", "q", "r"][pipeline], index)
            })
            .collect(),
    })
}

/// Tries all ways to give each worker a number of tasks; a task that stays moves nothing.
fn fewest_moves(slots: &[u64], kept: &[u64], n_tasks: usize) -> usize {
    fn all(n_workers: usize, n_tasks: u64) -> Vec<Vec<u64>> {
        if n_workers == 1 {
            return vec![vec![n_tasks]];
        }
        let with =
            |first: u64| all(n_workers - 1, n_tasks - first).into_iter().map(move |rest| [vec![first], rest].concat());
        (0..=n_tasks).flat_map(with).collect()
    }
    let balanced = all(slots.len(), n_tasks as u64).into_iter().filter(|counts| is_balanced(slots, counts));
    let moves = |counts: &Vec<u64>| kept.iter().zip(counts).map(|(have, may)| have.saturating_sub(*may)).sum::<u64>();
    balanced.map(|counts| moves(&counts)).min().expect("some way is balanced") as usize
}

fn is_balanced(slots: &[u64], counts: &[u64]) -> bool {
    let pairs = || slots.iter().zip(counts);
    pairs().all(|(slots_a, n_a)| pairs().all(|(slots_b, n_b)| (n_b + 1) * slots_a >= n_a * slots_b))
}

fn slots(workers: &[Candidate]) -> Vec<u64> {
    workers.iter().map(|worker| u64::from(worker.slots)).collect()
}

fn counts(workers: &[Candidate], placed: &BTreeMap<TaskId, Placement>) -> Vec<u64> {
    let count = |worker: &Candidate| placed.values().filter(|place| place.worker == worker.id).count() as u64;
    workers.iter().map(count).collect()
}

fn kept(workers: &[Candidate], tasks: &[Placeable]) -> Vec<u64> {
    let count = |worker: &Candidate| tasks.iter().filter(|task| task.owner.as_ref() == Some(&worker.id)).count() as u64;
    workers.iter().map(count).collect()
}

/// The tasks that an owner among the workers had to give up.
fn moved(workers: &[Candidate], tasks: &[Placeable], placed: &BTreeMap<TaskId, Placement>) -> Vec<TaskId> {
    let has_moved = |task: &&Placeable| {
        let owner = task.owner.as_ref().filter(|owner| workers.iter().any(|worker| worker.id == **owner));
        owner.is_some_and(|owner| placed.get(&task.task).is_some_and(|place| place.worker != *owner))
    };
    tasks.iter().filter(has_moved).map(|task| task.task.clone()).collect()
}

fn owned(tasks: &[Placeable], placed: &BTreeMap<TaskId, Placement>) -> Vec<Placeable> {
    let own = |task: &Placeable| Placeable { owner: Some(placed[&task.task].worker.clone()), ..task.clone() };
    tasks.iter().map(own).collect()
}

fn parse_workers(text: &str) -> Vec<Candidate> {
    let parse = |text: &str| {
        let mut parts = text.split(':');
        let (id, slots) = (parts.next().unwrap(), parts.next().unwrap().parse().unwrap());
        worker(id, slots, parts.next().unwrap_or(""))
    };
    text.split_whitespace().map(parse).collect()
}

fn parse_tasks(text: &str) -> Vec<Placeable> {
    let parse = |text: &str| {
        let (text, avoid) = text.split_once('!').map_or((text, None), |(text, avoid)| (text, Some(id(avoid))));
        let (text, owner) = text.split_once('@').map_or((text, None), |(text, owner)| (text, Some(id(owner))));
        Placeable { owner, avoid, ..task(&text[..1], text[1..].parse().unwrap()) }
    };
    text.split_whitespace().map(parse).collect()
}

fn worker(id: &str, slots: u32, zone: &str) -> Candidate {
    let labels = BTreeMap::from([("zone".to_owned(), zone.to_owned())]);
    Candidate { id: WorkerId(id.into()), slots, labels }
}

fn task(pipeline: &str, index: u32) -> Placeable {
    let pipeline = PipelineId { tenant: "soc".into(), name: pipeline.into() };
    Placeable { task: TaskId { pipeline, dataflow: 1, stage: 1, index }, owner: None, avoid: None }
}

fn id(text: &str) -> WorkerId {
    WorkerId(text.into())
}
