//! Injects faults. Each function returns when the cluster has recovered, and panics when it does not recover.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::commands::Task;
use super::node::{LEASE, N_SEATS, PATIENCE};
use super::pages::get;
use super::plan::Fault;
use super::rig::{NAME, Rig};
use crate::end_to_end::pipeline::OUTPUTS;
use crate::end_to_end::reader::ends;
use davy_testkit::proxy::{Cut, Proxy};
use davy_testkit::wait::{let_pass, until};

/// How many workers there are where a fault needs several.
const SEVERAL: usize = 3;
/// How long the broker is away: longer than transactions may be open.
const AWAY: Duration = Duration::from_secs(6);
/// How long nothing may come of a pipeline that rests.
const REST: Duration = Duration::from_secs(2);

impl Rig {
    pub(super) fn inject(&mut self, fault: &Fault) {
        match fault {
            Fault::Kill => self.kill(),
            Fault::Crash(point, n) => self.crash(&format!("{point}:{n}")),
            Fault::Freeze => self.freeze(),
            Fault::Scale(n) => {
                self.scale(*n);
                self.balance();
                self.goes_on();
            }
            Fault::Restart => self.restart(),
            Fault::Failover => self.succeed(Self::kill_coordinator, |_, _| {}),
            Fault::Doze => self.doze(),
            Fault::FrozenLeader => {
                let signal =
                    |rig: &Self, seat: usize, name| rig.seats[seat].as_ref().expect("it runs").process.signal(name);
                self.succeed(|rig, seat| signal(rig, seat, "STOP"), |rig, seat| signal(rig, seat, "CONT"));
            }
            Fault::BrokerlessLeader(cut) => {
                let link =
                    |rig: &Self, seat: usize, cut| match (&rig.seats[seat].as_ref().expect("it runs").to_broker, cut) {
                        (link, Some(cut)) => link.cut(cut),
                        (link, None) => link.heal(),
                    };
                self.succeed(|rig, seat| link(rig, seat, Some(*cut)), |rig, seat| link(rig, seat, None));
            }
            Fault::Lost(cut) => self.lose(*cut),
            Fault::Hiccup => self.hiccup(),
            Fault::Brokerless(cut) => self.lose_broker(*cut),
            Fault::Pause => self.pause(),
            Fault::Update => self.update(),
        }
    }

    fn several(&mut self) {
        if self.workers.len() < SEVERAL {
            self.scale(SEVERAL);
            self.balance();
        }
    }

    /// Waits until every worker has its share.
    fn balance(&mut self) {
        let names: Vec<String> = self.workers.values().map(|worker| worker.name.clone()).collect();
        let n_tasks = self.n_tasks();
        until("every worker has its share of the tasks", PATIENCE, || {
            let tasks = self.await_running();
            let n_of = |name: &String| tasks.values().filter(|task| task.worker == *name).count();
            let is_fair = |name: &String| (n_tasks / names.len()..=n_tasks.div_ceil(names.len())).contains(&n_of(name));
            names.iter().all(is_fair).then_some(())
        });
    }

    fn kill(&mut self) {
        self.several();
        let number = self.busy_worker();
        self.workers.remove(&number).expect("it runs").process.kill();
        self.await_running();
        self.goes_on();
    }

    fn crash(&mut self, point: &str) {
        let n = self.workers.len();
        self.scale(0);
        self.new_worker(Some(point)).process.await_crash(point);
        self.scale(n);
        self.await_running();
        self.goes_on();
    }

    /// Names of all workers but one.
    fn others(&self, number: usize) -> BTreeSet<String> {
        let name = &self.workers[&number].name;
        self.workers.values().map(|worker| worker.name.clone()).filter(|other| other != name).collect()
    }

    /// Other workers take the tasks of a worker that the coordinator receives no heartbeats from; it comes back after `heal`.
    fn outlive(&mut self, number: usize, heal: impl FnOnce(&mut Self)) {
        let name = self.workers[&number].name.clone();
        let (client, others) = (self.client(), self.others(number));
        until("the worker is lost", PATIENCE, || client.workers("lost").contains(&name).then_some(()));
        let before = self.await_running_on(&others);
        self.goes_on();
        heal(self);
        until("the worker is back", PATIENCE, || client.workers("alive").contains(&name).then_some(()));
        self.goes_on();
        let after = self.await_running();
        for (id, task) in after {
            let is_where_it_was = task.worker == before[&id].worker;
            assert!(
                is_where_it_was || before[&id].epoch < task.epoch,
                "task {id} has another owner and no greater epoch: {:?}, {task:?}",
                before[&id]
            );
        }
    }

    fn freeze(&mut self) {
        self.several();
        let number = self.busy_worker();
        self.workers[&number].process.signal("STOP");
        self.outlive(number, |rig| rig.workers[&number].process.signal("CONT"));
    }

    fn lose(&mut self, cut: Cut) {
        self.several();
        let number = self.busy_worker();
        self.workers[&number].to_coordinators.iter().for_each(|link| link.cut(cut));
        self.outlive(number, |rig| {
            rig.workers[&number].to_coordinators.iter().for_each(Proxy::heal);
        });
    }

    fn hiccup(&mut self) {
        self.several();
        let before = self.calm();
        let number = self.any_worker();
        for link in &self.workers[&number].to_coordinators {
            link.cut(Cut::Broken);
            link.heal();
        }
        let_pass(LEASE);
        self.is_undisturbed(&before);
    }

    fn lose_broker(&mut self, cut: Cut) {
        self.several();
        let number = self.busy_worker();
        self.workers[&number].to_broker.cut(cut);
        let_pass(AWAY);
        self.check_alive();
        self.workers[&number].to_broker.heal();
        self.await_running();
        self.goes_on();
    }

    /// Tasks, once no task has moved for longer than the coordinator waits before it balances them.
    fn calm(&mut self) -> BTreeMap<String, Task> {
        let mut tasks = self.await_running();
        until("tasks stay where they are", PATIENCE, || {
            let_pass(LEASE + Duration::from_secs(1));
            let before = std::mem::replace(&mut tasks, self.await_running());
            (moved(&before, &tasks).is_empty()).then_some(())
        });
        tasks
    }

    /// Every task is still where it was, and did not begin again.
    fn is_undisturbed(&mut self, before: &BTreeMap<String, Task>) {
        let after = self.await_running();
        assert_eq!(moved(before, &after), [""; 0], "tasks that nothing happened to");
        self.goes_on();
    }

    /// The seat of the leader.
    fn leader(&self) -> usize {
        let leads = |seat: usize| {
            let http = self.seats[seat].as_ref()?.ports.http;
            (get(http, "/readyz")?.code == 200).then_some(seat)
        };
        until("a coordinator leads", PATIENCE, || (0..N_SEATS).find_map(leads))
    }

    fn restart(&mut self) {
        let before = self.calm();
        let killed: Vec<usize> = (0..N_SEATS).filter(|&seat| self.seats[seat].is_some()).collect();
        killed.iter().for_each(|&seat| self.kill_coordinator(seat));
        // Longer than a lease: workers must keep their tasks without a coordinator.
        let_pass(LEASE);
        self.goes_on();
        self.start_coordinator(killed[0]);
        self.is_undisturbed(&before);
    }

    /// A coordinator that was paused itself must not report workers as lost.
    fn doze(&mut self) {
        let leader = self.leader();
        let before = self.calm();
        let signal = |rig: &Self, name| rig.seats[leader].as_ref().expect("it runs").process.signal(name);
        signal(self, "STOP");
        let_pass(LEASE + Duration::from_secs(1));
        signal(self, "CONT");
        self.is_undisturbed(&before);
        assert_eq!(self.leader(), leader);
    }

    /// Another coordinator leads after `fault` has hit the one that did, and still does after `heal`.
    fn succeed(&mut self, fault: impl FnOnce(&mut Self, usize), heal: impl FnOnce(&mut Self, usize)) {
        let leader = self.leader();
        let other = (leader + 1) % N_SEATS;
        if self.seats[other].is_none() {
            self.start_coordinator(other);
        }
        let before = self.calm();
        assert_eq!(self.health(other), (Some(200), Some(503)), "of one that stands by");
        fault(self, leader);
        until("another one leads", PATIENCE, || (self.health(other) == (Some(200), Some(200))).then_some(()));
        self.goes_on();
        heal(self, leader);
        if self.seats[leader].is_some() {
            let stands_by = (Some(200), Some(503));
            until("the former leader stands by", PATIENCE, || (self.health(leader) == stands_by).then_some(()));
        }
        self.is_undisturbed(&before);
        assert_eq!(self.leader(), other, "no other coordinator has led since");
    }

    /// What a coordinator says of itself.
    fn health(&self, seat: usize) -> (Option<u16>, Option<u16>) {
        let http = self.seats[seat].as_ref().expect("it runs").ports.http;
        let code = |path| get(http, path).map(|page| page.code);
        (code("/healthz"), code("/readyz"))
    }

    fn pause(&mut self) {
        self.client().must(&["pause", NAME, "--wait"]);
        let before = ends(&self.broker, &OUTPUTS);
        let_pass(REST);
        assert_eq!(ends(&self.broker, &OUTPUTS), before, "rows of a pipeline that rests");
        self.client().must(&["resume", NAME, "--wait"]);
        self.await_running();
        self.goes_on();
    }

    /// Another column above the windows; their state stays.
    fn update(&mut self) {
        self.script.version = Some(self.script.version.unwrap_or_default() + 1);
        self.write_script();
        self.client().must(&["update", NAME, "pipeline.sql", "--wait"]);
        self.await_running();
        self.goes_on();
    }
}

/// What has happened to tasks in between.
fn moved(before: &BTreeMap<String, Task>, after: &BTreeMap<String, Task>) -> Vec<String> {
    let is_same = |id: &String, task: &Task| {
        before
            .get(id)
            .is_some_and(|then| (then.epoch, &then.worker, then.restarts) == (task.epoch, &task.worker, task.restarts))
    };
    let others = after.iter().filter(|(id, task)| !is_same(id, task));
    others.map(|(id, task)| format!("{id}: {:?}, now {task:?}", before.get(id))).collect()
}
