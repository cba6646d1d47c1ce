//! Dataflows over Kafka: which tasks there are, their names on the broker, and their attempts.
//!
//! | what ends an attempt | what follows |
//! |---|---|
//! | a request to stop | a last commit, then the end |
//! | the broker is away, a transaction had to be given up, the memory is used up | back off, then start again from the last commit |
//! | fenced, and a process that started later has committed since | the end of this process's run: there is a newer owner |
//! | fenced, and an earlier process has | the earlier process will stop: take over again |
//! | fenced, and no other process has | the broker gave the transaction up by itself: start again |
//! | anything else | the end of the run, with its error |

mod attempt;
mod beginning;
pub(crate) mod lag;
mod naming;
mod past;
pub(crate) mod reset;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use davy_engine::connector::Share;
use davy_engine::log::wire::Wire;
use davy_engine::log::{ExchangeId, Source};
use davy_engine::operator::align::Board;
use davy_engine::plan::{Dataflow, SinkPlan, StageInput, TableDef};
use davy_engine::{Error, Result};
use davy_kafka::KafkaConnection;

use super::Shared;
use super::sinks::tables_of;
use crate::connector::kafka::exchange::ExchangeTopic;
use crate::connector::kafka::known::KnownPositions;
use crate::connector::kafka::tail::read_values;
use crate::connector::kafka::transactions::Identity;
use crate::connector::kafka::{Delivery, KafkaTable, admin};
pub(crate) use attempt::drive;
use naming::{exchange_topic, group, transactional_id};
use past::{check_exchanges, check_pasts, check_windows, past_of};

/// A task over Kafka, as it is made again and again.
pub(crate) struct KafkaTask {
    pub(super) name: Arc<str>,
    cluster: KafkaConnection,
    /// Of its dataflow, from 1.
    number: usize,
    dataflow: Arc<Dataflow>,
    pub(crate) stage: usize,
    pub(crate) index: u32,
    n_tasks: Arc<[u32]>,
    n_partitions: u32,
    identity: Identity,
    /// The stages that read its exchanges, and what they are called on the broker.
    readers: Vec<(usize, Identity)>,
    /// The topic and the form of each exchange that is written.
    writes: HashMap<ExchangeId, (Arc<str>, Wire)>,
    board: Arc<Board>,
    known: Arc<KnownPositions>,
}

/// The cluster that a dataflow runs over; `None` when it reads no topic, or only ranges that end.
pub(crate) fn cluster_of(dataflow: &Dataflow) -> Result<Option<KafkaConnection>> {
    let mut topics: Vec<&KafkaTable> = Vec::new();
    let mut others: Vec<&str> = Vec::new();
    for stage in &dataflow.stages {
        let StageInput::Table(source) = &stage.input else { continue };
        match KafkaTable::of(source.table.table.as_ref()) {
            Some(table) if !source.table.table.is_bounded() => topics.push(table),
            _ => others.push(&source.table.name),
        }
    }
    let Some(first) = topics.first() else { return Ok(None) };
    if let Some(other) = others.first() {
        return Err(Error::invalid(format!(
            "a query cannot bring topic table `{}` and table `{other}` together: only Kafka \
             keeps positions",
            first.name
        ))
        .hint("write the file into a topic with an INSERT of its own, and read that"));
    }
    if let Some(other) = topics.iter().find(|other| other.cluster != first.cluster) {
        return Err(Error::invalid(format!(
            "tables `{}` and `{}` are on different clusters, or reached in different ways",
            first.name, other.name
        ))
        .hint("a query reads one cluster: give both the same bootstrap_servers and options"));
    }
    Ok(Some(first.cluster.clone()))
}

/// Whether it reads topics that do not end.
pub fn never_ends(dataflow: &Dataflow) -> Result<bool> {
    Ok(cluster_of(dataflow)?.is_some())
}

/// The topic that a table reads, if it is over Kafka.
pub fn topic_of(table: &TableDef) -> Option<&str> {
    KafkaTable::of(table.table.as_ref()).map(|table| &*table.topic)
}

/// Reads the values of all messages that are in the topic of a table that is written now; `false` where it is no topic.
pub fn read_written(sink: &SinkPlan, take: impl FnMut(&[u8])) -> Result<bool> {
    let Some(table) = sink.table.as_deref().and_then(KafkaTable::of) else { return Ok(false) };
    read_values(&table.cluster, &table.topic, take).map(|()| true)
}

/// The first topic that it reads; all are on one cluster.
fn first_topic(dataflow: &Dataflow) -> Option<&KafkaTable> {
    dataflow.stages.iter().find_map(|stage| match &stage.input {
        StageInput::Table(source) => KafkaTable::of(source.table.table.as_ref()),
        StageInput::Exchanges(_) => None,
    })
}

/// What there is of a dataflow on the broker.
pub(crate) struct Examined {
    /// How many tasks each stage has, or will have.
    pub(crate) n_tasks: Arc<[u32]>,
    /// What state was left by other plans, as the offset metadata beside positions have it.
    pub(crate) other_states: BTreeSet<u64>,
    /// Whether a task has committed positions.
    has_run: bool,
    writes: HashMap<ExchangeId, (Arc<str>, Wire)>,
    topics: HashMap<Arc<str>, Arc<str>>,
}

/// What is done about topics of exchanges that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Make,
    /// Create nothing: the caller only inspects the pipeline.
    Leave,
}

/// Looks at what a dataflow has left behind, and at its exchanges' topics.
pub(crate) fn examine(
    shared: &Shared,
    cluster: &KafkaConnection,
    (number, dataflow): (usize, &Dataflow),
    missing: Missing,
) -> Result<Examined> {
    first_topic(dataflow).map_or(Ok(()), KafkaTable::check_broker)?;
    check_sinks(shared, cluster, dataflow)?;
    let pipeline = &shared.name;
    let mut writes: HashMap<ExchangeId, (Arc<str>, Wire)> = HashMap::new();
    let mut made = Vec::new();
    for stage in &dataflow.stages {
        let StageInput::Exchanges(inputs) = &stage.input else { continue };
        for input in inputs {
            let exchange = &input.aggregate.exchange;
            let topic = exchange_topic(pipeline, exchange);
            let is_new = match missing {
                Missing::Make => admin::ensure_exchange(cluster, &topic, shared.exchange_partitions)?,
                Missing::Leave => !admin::is_exchange_there(cluster, &topic, shared.exchange_partitions)?,
            };
            if is_new {
                made.push(Arc::clone(&topic));
            }
            writes.insert(exchange.clone(), (topic, Wire::new(input.aggregate.partial_schema()?)?));
        }
    }
    let topics: HashMap<Arc<str>, Arc<str>> =
        writes.iter().map(|(exchange, (topic, _))| (Arc::clone(&exchange.0), Arc::clone(topic))).collect();
    let mut pasts = Vec::new();
    for (stage, planned) in dataflow.stages.iter().enumerate() {
        let identity = stage_identity(pipeline, (number, dataflow), stage, &topics);
        let wanted = shared.options.tasks.of_stage(number - 1, stage)?;
        pasts.push(past_of(shared, cluster, (&planned.input, wanted), &identity)?);
    }
    check_pasts(&pasts, &made)?;
    let has_records = |topic: &Arc<str>| Ok(!made.contains(topic) && admin::has_records(cluster, topic)?);
    check_exchanges(&pasts, &topics, &has_records)?;
    check_windows(dataflow, &pasts, &topics, &has_records)?;
    let mut other_states: BTreeSet<u64> = pasts.iter().flat_map(|past| past.states.iter().copied()).collect();
    other_states.remove(&dataflow.state_fingerprint);
    let has_run = pasts.iter().any(|past| past.has_run);
    Ok(Examined { n_tasks: pasts.iter().map(|past| past.n_tasks).collect(), other_states, has_run, writes, topics })
}

/// The tasks of one dataflow.
pub(crate) fn tasks_of(
    shared: &Shared,
    cluster: &KafkaConnection,
    number: usize,
    dataflow: &Arc<Dataflow>,
) -> Result<Vec<KafkaTask>> {
    let examined = examine(shared, cluster, (number, dataflow), Missing::Make)?;
    Ok(tasks_with(shared, cluster, number, dataflow, examined))
}

fn tasks_with(
    shared: &Shared,
    cluster: &KafkaConnection,
    number: usize,
    dataflow: &Arc<Dataflow>,
    examined: Examined,
) -> Vec<KafkaTask> {
    let Examined { n_tasks, writes, topics, .. } = examined;
    let pipeline = &shared.name;
    let mut tasks = Vec::new();
    for stage in 0..dataflow.stages.len() {
        let board = Arc::default();
        let reader = |reader| (reader, stage_identity(pipeline, (number, dataflow), reader, &topics));
        let readers: Vec<_> = beginning::readers(dataflow, stage).map(reader).collect();
        for index in 0..n_tasks[stage] {
            let identity = Identity {
                transactional_id: transactional_id(pipeline, number, stage, index),
                ..stage_identity(pipeline, (number, dataflow), stage, &topics)
            };
            tasks.push(KafkaTask {
                name: format!("{pipeline}/{number}/{}/{index}", stage + 1).into(),
                cluster: cluster.clone(),
                number,
                dataflow: Arc::clone(dataflow),
                stage,
                index,
                n_tasks: Arc::clone(&n_tasks),
                n_partitions: shared.exchange_partitions,
                identity,
                readers: readers.clone(),
                writes: writes.clone(),
                board: Arc::clone(&board),
                known: Arc::default(),
            });
        }
    }
    tasks
}

/// What a stage is called on the broker, apart from its tasks.
fn stage_identity(
    pipeline: &str,
    (number, dataflow): (usize, &Dataflow),
    stage: usize,
    topics: &HashMap<Arc<str>, Arc<str>>,
) -> Identity {
    Identity {
        transactional_id: String::new(),
        group: group(pipeline, number, stage),
        topics: topics_of(&dataflow.stages[stage].input, topics),
    }
}

/// Splits of a table are named by their topic, splits of an exchange by the exchange.
fn topics_of(input: &StageInput, topics: &HashMap<Arc<str>, Arc<str>>) -> HashMap<Arc<str>, Arc<str>> {
    match input {
        StageInput::Table(_) => HashMap::new(),
        StageInput::Exchanges(_) => topics.clone(),
    }
}

/// A transaction spans one Kafka cluster: a script with sinks elsewhere has to name the weaker guarantee.
fn check_sinks(shared: &Shared, cluster: &KafkaConnection, dataflow: &Dataflow) -> Result<()> {
    for name in tables_of(dataflow) {
        let Some(table) = shared.sinks.plan(&name)?.table.as_deref().and_then(KafkaTable::of) else { continue };
        if table.cluster != *cluster && table.delivery() != Some(Delivery::AtLeastOnce) {
            return Err(Error::invalid(format!(
                "table `{name}` is on another cluster than the source, so no transaction spans both"
            ))
            .hint("say delivery = 'at_least_once' for it"));
        }
    }
    Ok(())
}

impl KafkaTask {
    /// The partitions of every exchange that this task reads.
    fn own_partitions(&self) -> Vec<i32> {
        let n_tasks = self.n_tasks[self.stage].max(1) as usize;
        (self.index..self.n_partitions).step_by(n_tasks).map(|number| number as i32).collect()
    }

    fn source(&self) -> Result<Box<dyn Source>> {
        let share = Share { index: self.index as usize, count: self.n_tasks[self.stage] as usize };
        match &self.dataflow.stages[self.stage].input {
            StageInput::Table(plan) => plan.table.table.source(&plan.schema, share),
            StageInput::Exchanges(inputs) => {
                let mut exchanges = Vec::new();
                for input in inputs {
                    let exchange = input.aggregate.exchange.clone();
                    let written = self.writes.get(&exchange);
                    let (topic, wire) = written.ok_or_else(|| Error::internal("an exchange without a topic"))?.clone();
                    exchanges.push(ExchangeTopic { exchange, topic, wire });
                }
                let partitions = self.own_partitions();
                Ok(Box::new(crate::connector::kafka::exchange::ExchangeSource::open(
                    &self.cluster,
                    exchanges,
                    partitions,
                )?))
            }
        }
    }

    /// The tables that rows of this stage may go to.
    fn tables(&self) -> BTreeMap<Arc<str>, ()> {
        tables_of(&self.dataflow).into_iter().map(|name| (name, ())).collect()
    }
}
