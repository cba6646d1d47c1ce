//! End-to-end tests of a cluster: a real broker, coordinators and workers as processes, and faults of all kinds while rows come in.
//!
//! In the end the results must be the expected ones, computed without the engine: every input row counts once, in topics and in files. No reader may have
//! seen other rows meanwhile, and tasks that no fault has hit must not have been restarted.
//!
//! `SEED=…` plays one plan again; `make chaos` plays a long one.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a long run says how it went, a failed one how to play it again"
)]

mod changes;
mod client;
mod commands;
mod dev;
mod faults;
mod node;
mod pages;
mod plan;
mod rig;
mod submissions;

use davy_testkit::proxy::Cut;
use plan::{Fault, Plan};
use rig::{Play, attempt, play};

use crate::end_to_end::number_from_environment;
use crate::end_to_end::pipeline::Script;

fn play_faults(test: &'static str, faults: &[Fault]) {
    play(&Play {
        test,
        seed: number_from_environment("SEED").unwrap_or(0),
        plan: Plan(faults.to_vec()),
        n_workers: 3,
        rows_per_second: 1_000,
        script: Script { files: &["json"], ..Script::default() },
    });
}

#[test]
fn workers_that_die_freeze_come_and_go_lose_no_row() {
    let scale = [4, 1, 4, 1].map(Fault::Scale);
    let faults = [&[Fault::Kill, Fault::Freeze, Fault::Kill], &scale[..]].concat();
    play_faults("cluster::workers_that_die_freeze_come_and_go_lose_no_row", &faults);
}

#[test]
fn a_dead_coordinator_disturbs_no_task() {
    play_faults("cluster::a_dead_coordinator_disturbs_no_task", &[Fault::Restart, Fault::Failover]);
}

#[test]
fn a_paused_or_cut_off_leader_does_not_act_after_another_leads() {
    let faults = [Fault::Doze, Fault::FrozenLeader, Fault::BrokerlessLeader(Cut::Silent)];
    play_faults("cluster::a_paused_or_cut_off_leader_does_not_act_after_another_leads", &faults);
}

#[test]
fn tasks_of_a_cut_off_worker_move_and_the_worker_rejoins() {
    let faults = [
        Fault::Hiccup,
        Fault::Lost(Cut::Silent),
        Fault::Lost(Cut::Broken),
        Fault::Brokerless(Cut::Silent),
        Fault::Brokerless(Cut::Broken),
    ];
    play_faults("cluster::tasks_of_a_cut_off_worker_move_and_the_worker_rejoins", &faults);
}

/// Tests the rig itself: with at-least-once delivery rows come twice, and the rig reports them.
#[test]
fn without_transactions_the_rig_finds_rows_that_come_twice() {
    let wrong = attempt(&Play {
        test: "cluster::without_transactions_the_rig_finds_rows_that_come_twice",
        seed: 0,
        plan: Plan(vec![Fault::Crash("after_write_outside", 5)]),
        n_workers: 1,
        rows_per_second: 1_000,
        script: Script { delivery: "at_least_once", ..Script::default() },
    });
    let complaint = wrong.first().map_or("", String::as_str);
    assert!(complaint.starts_with("passed: 0 of ") && complaint.contains("too often"), "{wrong:?}");
}

#[test]
#[ignore = "as long as one likes: make chaos"]
fn chaos() {
    let seed = number_from_environment("SEED").unwrap_or(0);
    let n_faults = number_from_environment("INJECTIONS").unwrap_or(50);
    play(&Play {
        test: "cluster::chaos",
        seed,
        plan: Plan::chaos(seed, n_faults as usize),
        n_workers: 3,
        rows_per_second: number_from_environment("RATE").unwrap_or(1_000),
        script: Script { files: &["json", "parquet"], ..Script::default() },
    });
}
