//! The event loop: the only one that decides, and the only one that knows all.
//!
//! It never waits but for the next event. What takes time (planning, the catalog, workers that read slowly) happens elsewhere, and
//! comes back as an event, or is given up.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::metrics::Metrics;
use crate::options::Options;
use crate::rpc::scaler::Wanted;
use crate::service::clock::Clock;
use crate::service::event::Event;
use crate::service::handle::Planning;
use crate::service::keeper::News;
use crate::service::leading::Leading;
use crate::service::standing::Standing;
use crate::service::tasks::Tasks;

/// Events that wait for the loop; whoever has more to tell waits.
pub(super) const EVENTS_MAX: usize = 1_024;

/// How often it looks at the clock when nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// What all parts of the loop use.
#[derive(Clone)]
pub(super) struct Tools {
    /// How it is run.
    pub options: Arc<Options>,
    pub planning: Planning,
    pub metrics: Arc<Metrics>,
    pub clock: Clock,
    pub tasks: Tasks,
    /// Where results of tasks go.
    pub events: mpsc::Sender<Event>,
}

pub(super) struct Driver {
    tools: Tools,
    events: mpsc::Receiver<Event>,
    standing: watch::Sender<Standing>,
    wanted: watch::Sender<Option<Wanted>>,
    leading: Option<Leading>,
    is_stopping: bool,
    looked_at: Option<Duration>,
}

impl Driver {
    /// A loop that stands by.
    pub(super) fn new(
        tools: Tools,
        events: mpsc::Receiver<Event>,
        standing: watch::Sender<Standing>,
        wanted: watch::Sender<Option<Wanted>>,
    ) -> Self {
        Self { tools, events, standing, wanted, leading: None, is_stopping: false, looked_at: None }
    }

    /// Until it was asked to stop and no change is on its way, or a person has to look at the catalog.
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
            // One decision for all that has come meanwhile.
            for _ in 0..EVENTS_MAX {
                let Some(event) = next else { break };
                self.take(event)?;
                next = self.events.try_recv().ok();
            }
            self.settle();
            if self.is_stopping && self.leading.as_ref().is_none_or(Leading::is_idle) {
                return Ok(());
            }
        }
    }

    /// Notices that the process stood still: frozen, or on a machine that slept. Else all workers would seem lost when it wakes.
    fn look_at_clock(&mut self) {
        let now = self.tools.clock.now();
        let asleep = now.saturating_sub(self.looked_at.replace(now).unwrap_or(now));
        if let Some(leading) = &mut self.leading
            && self.tools.options.cluster.lease_timeout / 2 < asleep
        {
            warn!(?asleep, "this coordinator stood still");
            leading.wake(now);
        }
    }

    fn take(&mut self, event: Event) -> Result<(), String> {
        match (event, &mut self.leading) {
            (Event::Keeper(News::Led { term, snapshot, epochs, writer }), _) => {
                self.tools.metrics.term.set(i64::try_from(term.0).unwrap_or(i64::MAX));
                self.leading = Some(Leading::begin(self.tools.clone(), (term, epochs, writer), snapshot));
                self.stand(Standing::Leading { term });
            }
            (Event::Keeper(News::Standby { why }), _) => self.stand_by(why),
            (Event::Keeper(News::Broken(why)), _) => {
                self.stand_by(why.clone());
                return Err(why);
            }
            (Event::Stop, _) => self.stop(),
            (event, Some(leading)) => leading.take(event),
            // Whoever waits for an answer hears that this coordinator does not lead.
            (event, None) => debug!(?event, "nobody leads here"),
        }
        Ok(())
    }

    fn settle(&mut self) {
        if let Some(leading) = &mut self.leading {
            leading.settle();
            let wanted = leading.wanted();
            self.wanted.send_if_modified(|known| std::mem::replace(known, wanted) != wanted);
        }
    }

    /// Drops all that a leader knows: workers' calls end, and clients that wait hear that nobody leads here.
    fn stand_by(&mut self, why: String) {
        if self.leading.take().is_some() {
            info!(why, "this coordinator leads no more");
        }
        self.wanted.send_replace(None);
        self.stand(Standing::Standby { why: Some(why) });
    }

    /// Changes on their way are made; new ones are refused.
    fn stop(&mut self) {
        self.is_stopping = true;
        self.stand(Standing::Stopping);
        self.wanted.send_replace(None);
        if let Some(leading) = &mut self.leading {
            leading.begin_to_end();
        }
    }

    fn stand(&mut self, standing: Standing) {
        let standing = if self.is_stopping { Standing::Stopping } else { standing };
        let leads = matches!(standing, Standing::Leading { .. });
        self.tools.metrics.is_leader.set(i64::from(leads));
        self.standing.send_replace(standing);
    }
}
