//! The event loop: the one place that decides, and that knows all facts.
//!
//! It waits only for the next event. Slow work (planning, the catalog, workers that read slowly) happens elsewhere, and comes back as an
//! event or is dropped.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::autoscale::Wanted;
use crate::metrics::Metrics;
use crate::options::Options;
use crate::service::catalog_writer::News;
use crate::service::clock::Clock;
use crate::service::event::Event;
use crate::service::handle::Planning;
use crate::service::leader::{Lead, LeaderState};
use crate::service::role::CoordinatorRole;
use crate::service::tasks::Tasks;

/// Events that wait for the loop; further senders wait.
pub(super) const EVENTS_MAX: usize = 1_024;

/// How often the loop looks at the clock when no event arrives.
const TICK: Duration = Duration::from_millis(100);

/// What all parts of the loop use.
#[derive(Clone)]
pub(super) struct Tools {
    pub options: Arc<Options>,
    pub planning: Planning,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub tasks: Tasks,
    /// Where spawned tasks send their results.
    pub events: mpsc::Sender<Event>,
}

pub(super) struct Driver {
    tools: Tools,
    events: mpsc::Receiver<Event>,
    role: watch::Sender<CoordinatorRole>,
    wanted: watch::Sender<Option<Wanted>>,
    leader: Option<LeaderState>,
    is_stopping: bool,
    looked_at: Option<Duration>,
}

impl Driver {
    /// A loop that stands by.
    pub(super) fn new(
        tools: Tools,
        events: mpsc::Receiver<Event>,
        role: watch::Sender<CoordinatorRole>,
        wanted: watch::Sender<Option<Wanted>>,
    ) -> Self {
        Self { tools, events, role, wanted, leader: None, is_stopping: false, looked_at: None }
    }

    /// Runs until a shutdown has finished all changes, or until the catalog is broken.
    pub(super) async fn run(mut self) -> Result<(), String> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                _ = tick.tick() => None,
            };
            self.look_at_clock();
            let mut next = event;
            // One decision for all events that have arrived meanwhile.
            for _ in 0..EVENTS_MAX {
                let Some(event) = next else { break };
                self.take(event)?;
                next = self.events.try_recv().ok();
            }
            self.act();
            if self.is_stopping && self.leader.as_ref().is_none_or(LeaderState::is_idle) {
                return Ok(());
            }
        }
    }

    /// Notices that the process was suspended. Otherwise it would take all workers for lost when it continues.
    fn look_at_clock(&mut self) {
        let now = self.tools.clock.now();
        let suspended = now.saturating_sub(self.looked_at.replace(now).unwrap_or(now));
        if let Some(leader) = &mut self.leader
            && self.tools.options.cluster.lease_timeout / 2 < suspended
        {
            warn!(?suspended, "this coordinator was suspended");
            leader.wake(now);
        }
    }

    fn take(&mut self, event: Event) -> Result<(), String> {
        match (event, &mut self.leader) {
            (Event::Catalog(News::Led { term, snapshot, epochs, writer }), _) => {
                self.tools.metrics.term.set(i64::try_from(term.0).unwrap_or(i64::MAX));
                let lead = Lead { term, epochs, writer };
                self.leader = Some(LeaderState::begin(self.tools.clone(), lead, snapshot));
                self.set_role(CoordinatorRole::Leader { term });
            }
            (Event::Catalog(News::Standby { reason }), _) => self.stand_by(reason),
            (Event::Catalog(News::Broken(reason)), _) => {
                self.stand_by(reason.clone());
                return Err(reason);
            }
            (Event::Stop, _) => self.stop(),
            (event, Some(leader)) => leader.take(event),
            // Dropping the event's reply answers its caller that this coordinator does not lead.
            (event, None) => debug!(?event, "an event was dropped, since this coordinator does not lead"),
        }
        Ok(())
    }

    fn act(&mut self) {
        if let Some(leader) = &mut self.leader {
            leader.act();
            let wanted = leader.wanted();
            self.wanted.send_if_modified(|known| std::mem::replace(known, wanted) != wanted);
        }
    }

    /// Drops the leader's state: worker sessions end, and waiting clients are answered that this coordinator does not lead.
    fn stand_by(&mut self, reason: String) {
        if self.leader.take().is_some() {
            info!(reason, "this coordinator no longer leads");
        }
        self.wanted.send_replace(None);
        self.set_role(CoordinatorRole::Standby { reason: Some(reason) });
    }

    /// Finishes changes that have begun, and refuses new ones.
    fn stop(&mut self) {
        self.is_stopping = true;
        self.set_role(CoordinatorRole::Stopping);
        self.wanted.send_replace(None);
        if let Some(leader) = &mut self.leader {
            leader.begin_shutdown();
        }
    }

    fn set_role(&mut self, role: CoordinatorRole) {
        let role = if self.is_stopping { CoordinatorRole::Stopping } else { role };
        let leads = matches!(role, CoordinatorRole::Leader { .. });
        self.tools.metrics.is_leader.set(i64::from(leads));
        self.role.send_replace(role);
    }
}
