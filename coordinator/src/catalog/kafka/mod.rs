//! A catalog in a compacted Kafka topic, for clusters: one coordinator leads, others stand by.
//!
//! | step | what it gives |
//! |---|---|
//! | join the group `davy.<cluster>.coordinators` | one member gets the topic's only partition; the others wait for it |
//! | `init_transactions` as `davy.<cluster>.catalog` | every older leader's writes fail, and its open transaction is aborted |
//! | write a barrier, and read the topic up to it | all that older leaders have written, and nothing of it can come later |
//! | write a leader record with the next term | others see who leads |
//!
//! The group only says who should try; the transactional id decides. A leader that was paused for so long that the group gave its
//! place away still believes that it leads, and its next write fails.
//!
//! The barrier and not the topic's end, since a partition's new leader may not know the whole end yet; a record that was written after
//! all others, and was read back, is beyond doubt.
//!
//! A leader that does not know whether a write was done stops leading, and reads what is there when it leads again.

mod codec;
mod group;
mod reader;
mod topic;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU16;
use std::time::{Duration, Instant};

use davy_kafka::KafkaConnection;
use davy_proto::domain::is_name;
use tracing::{debug, info};

use self::codec::Message;
use self::group::Candidate;
use self::writer::Writer;
use super::state::State;
use super::{Catalog, CatalogError, Record, Snapshot};

/// The default topic.
pub const DEFAULT_TOPIC: &str = "davy.catalog";

/// The longest message: a script, and then some. Scripts are much shorter, and are refused before they get here.
const MESSAGE_BYTES_MAX: &str = "8388608";
/// What the catalog's clients are set to, where the options do not say.
const PROPERTIES: [(&str, &str); 3] =
    [("client.id", "davy-coordinator"), ("message.max.bytes", MESSAGE_BYTES_MAX), ("check.crcs", "true")];

/// The longest step of a wait: after each step the catalog checks whether the wait was cancelled.
const SLICE: Duration = Duration::from_millis(100);

/// Where a catalog is, and who uses it.
#[derive(Clone)]
pub struct KafkaCatalogOptions {
    /// As librdkafka's `bootstrap.servers`.
    pub servers: String,
    /// The topic, which is made if it is missing.
    pub topic: String,
    /// Coordinators of one cluster share a topic, a group and a transactional id; no two clusters may share a topic.
    pub cluster: String,
    /// Replicas of a topic that is made; `None`: as many as the broker gives by default.
    pub replication: Option<NonZeroU16>,
    /// librdkafka's properties, for security above all.
    pub properties: BTreeMap<String, String>,
    /// Where clients and workers reach this coordinator.
    pub address: String,
}

impl KafkaCatalogOptions {
    /// The catalog of `cluster` at `servers`, for the coordinator at `address`.
    pub fn new(servers: &str, cluster: &str, address: &str) -> Self {
        Self {
            servers: servers.to_owned(),
            topic: DEFAULT_TOPIC.to_owned(),
            cluster: cluster.to_owned(),
            replication: None,
            properties: BTreeMap::new(),
            address: address.to_owned(),
        }
    }

    fn group(&self) -> String {
        format!("davy.{}.coordinators", self.cluster)
    }

    fn transactional_id(&self) -> String {
        format!("davy.{}.catalog", self.cluster)
    }
}

impl fmt::Debug for KafkaCatalogOptions {
    /// Properties may be passwords: only their names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaCatalogOptions")
            .field("servers", &self.servers)
            .field("topic", &self.topic)
            .field("cluster", &self.cluster)
            .field("replication", &self.replication)
            .field("properties", &self.properties.keys())
            .field("address", &self.address)
            .finish()
    }
}

/// The topic, and how it is reached.
struct CatalogTopic {
    options: KafkaCatalogOptions,
    connection: KafkaConnection,
}

/// One coordinator's view of a catalog in Kafka.
///
/// Call [`Catalog::still_leads`] about once a second: a member of the group that is not polled for a minute loses its place.
pub struct KafkaCatalog {
    topic: CatalogTopic,
    leading: Option<LeaderState>,
}

/// What a leader has. The group is left first, so that the next one need not wait for the rest.
struct LeaderState {
    group: Candidate,
    /// `None` after trouble: the next write makes another.
    writer: Option<Writer>,
    /// What is in the topic.
    state: State,
}

/// Why leading was not reached, or not kept.
enum Halt {
    Over,
    /// Another coordinator has the place.
    Lost(String),
    Failed(CatalogError),
}

impl From<CatalogError> for Halt {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::Fenced(why) => Self::Lost(why),
            other @ (CatalogError::Unavailable(_) | CatalogError::Corrupt(_)) => Self::Failed(other),
        }
    }
}

impl From<davy_kafka::Error> for Halt {
    fn from(error: davy_kafka::Error) -> Self {
        CatalogError::from(error).into()
    }
}

impl From<davy_kafka::Error> for CatalogError {
    fn from(error: davy_kafka::Error) -> Self {
        match error {
            davy_kafka::Error::Invalid { .. } => Self::Corrupt(error.to_string()),
            davy_kafka::Error::Unavailable(why) => Self::Unavailable(why),
            davy_kafka::Error::Fenced(why) => Self::Fenced(why),
            davy_kafka::Error::InDoubt(why) => {
                Self::Fenced(format!("it is not known whether records were written; the next leader reads it: {why}"))
            }
        }
    }
}

impl KafkaCatalog {
    /// Checks the options; sends no request.
    pub fn new(options: KafkaCatalogOptions) -> Result<Self, CatalogError> {
        if !is_name(&options.cluster) {
            return Err(CatalogError::Corrupt(format!(
                "`{}` cannot be a cluster's name: use a-z, A-Z, 0-9, `_` and `-`, as a group and a topic are named after it",
                options.cluster
            )));
        }
        let given = options.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let connection = KafkaConnection::from_properties(&options.servers, PROPERTIES.into_iter().chain(given))?;
        Ok(Self { topic: CatalogTopic { options, connection }, leading: None })
    }

    fn take_over(&self, is_over: &dyn Fn() -> bool) -> Result<LeaderState, Halt> {
        let options = &self.topic.options;
        topic::ensure(&self.topic)?;
        let group = Candidate::join(&self.topic)?;
        debug!(cluster = options.cluster, "stands by");
        group.wait(is_over)?;
        let proceed = || if is_over() { Err(Halt::Over) } else { Ok(group.check()?) };
        let writer = Writer::init(&self.topic, &proceed)?;
        let mut state = read_all(&self.topic, &writer, &proceed)?;
        let leader = Record::Leader { term: state.next_term(), address: options.address.clone() };
        writer.write(&[codec::encode(&options.cluster, &leader)])?;
        state.apply(leader);
        let writer = Some(writer).filter(|writer| !writer.had_trouble());
        Ok(LeaderState { group, writer, state })
    }

    /// Leaves the group, so that one that stands by need not wait for the session's end.
    fn step_down_if_fenced(&mut self, result: &Result<(), CatalogError>) {
        if matches!(result, Err(CatalogError::Fenced(_))) {
            self.leading = None;
        }
    }
}

impl Catalog for KafkaCatalog {
    fn lead(&mut self, is_over: &dyn Fn() -> bool) -> Result<Option<Snapshot>, CatalogError> {
        // A fenced leader leaves the group and joins it again.
        self.leading = None;
        loop {
            match self.take_over(is_over) {
                Ok(leading) => {
                    let snapshot = leading.state.snapshot();
                    info!(cluster = self.topic.options.cluster, term = %snapshot.term, "leads");
                    self.leading = Some(leading);
                    return Ok(Some(snapshot));
                }
                Err(Halt::Over) => return Ok(None),
                Err(Halt::Lost(why)) => debug!(why, "another coordinator was faster"),
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
    }

    fn write(&mut self, records: &[Record]) -> Result<(), CatalogError> {
        let leading = self.leading.as_mut().ok_or_else(not_leading)?;
        leading.state.check(records).expect("a leader's numbers only grow");
        let written = leading.write(&self.topic, records);
        self.step_down_if_fenced(&written);
        written
    }

    fn still_leads(&mut self) -> Result<(), CatalogError> {
        let leading = self.leading.as_ref().ok_or_else(not_leading)?;
        let checked = leading.group.check();
        self.step_down_if_fenced(&checked);
        checked
    }
}

impl LeaderState {
    fn write(&mut self, topic: &CatalogTopic, records: &[Record]) -> Result<(), CatalogError> {
        if records.is_empty() {
            return self.group.check();
        }
        if self.writer.is_none() {
            self.writer = Some(self.renew(topic)?);
        }
        let writer = self.writer.as_ref().expect("made above");
        let encode = |record| codec::encode(&topic.options.cluster, record);
        let written = writer.write(&records.iter().map(encode).collect::<Vec<Message>>());
        if writer.had_trouble() || written.is_err() {
            self.writer = None;
        }
        written.map_err(|error| match error {
            // It may be these records only, such as a script that is too long: the leader goes on.
            davy_kafka::Error::Invalid { .. } => CatalogError::Unavailable(error.to_string()),
            other => other.into(),
        })?;
        self.state.apply_all(records);
        Ok(())
    }

    /// A fresh producer. librdkafka lacks KIP-890: a request of the old one that is late on its way could end the next transaction of
    /// the same producer, but never that of a fresh one.
    ///
    /// This fences a leader that has taken over in the meantime too, so the caller has to check afterwards that there is none.
    fn renew(&self, topic: &CatalogTopic) -> Result<Writer, CatalogError> {
        let renewed = || {
            let proceed = || Ok(self.group.check()?);
            proceed()?;
            let writer = Writer::init(topic, &proceed)?;
            let found = read_all(topic, &writer, &proceed)?;
            Ok((writer, found))
        };
        let (writer, found) = renewed().map_err(|halt| match halt {
            Halt::Failed(error) => error,
            Halt::Lost(why) => CatalogError::Fenced(why),
            Halt::Over => unreachable!("this wait is always wanted"),
        })?;
        if found == self.state {
            return Ok(writer);
        }
        let (ours, last) = (self.state.term(), found.term());
        Err(CatalogError::Fenced(format!(
            "topic `{}` has records that the leader of term {ours} did not write; the last term is {last}",
            topic.options.topic
        )))
    }
}

/// Everything that is in the topic before a barrier that is written now.
fn read_all(topic: &CatalogTopic, writer: &Writer, proceed: &dyn Fn() -> Result<(), Halt>) -> Result<State, Halt> {
    let barrier = writer.write(&[codec::barrier(&topic.options.cluster)])?;
    let barrier = barrier.ok_or_else(|| {
        CatalogError::Unavailable("the broker did not say at which offset it wrote the barrier".to_owned())
    })?;
    reader::read_until(topic, barrier, proceed)
}

fn not_leading() -> CatalogError {
    CatalogError::Fenced("this coordinator does not lead".to_owned())
}

#[expect(clippy::disallowed_methods, reason = "how long a broker may take is a matter of this edge only")]
fn now() -> Instant {
    Instant::now()
}
