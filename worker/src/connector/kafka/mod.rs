//! `kafka`: topics as sources and sinks.
//!
//! A source reads its partitions in batches by manual assignment; positions are committed with the transactions of the task, for a
//! group that has no members. A sink takes part in the transaction, or is written before it (`delivery`).

pub(crate) mod admin;
mod bounded;
pub(crate) mod exchange;
mod expressions;
pub(crate) mod known;
pub(crate) mod lag;
pub(crate) mod limits;
mod options;
mod ranges;
pub(crate) mod sink;
mod source;
pub(crate) mod tail;
mod throttle;
pub(crate) mod transactions;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::format::Format;
use davy_engine::format::json::JsonOptions;
use davy_engine::log::{Sink, Source};
use davy_engine::options::Options;
use davy_engine::plan::SinkPlan;
use davy_engine::{Error, Result};
use davy_kafka::features::checks_transactions;
use davy_kafka::offsets::MetadataClient;
pub(crate) use davy_kafka::producer::Compression;
use davy_kafka::{Isolation, KafkaConnection};

use super::Role;
use super::file::check_types;
use bounded::BoundedSource;
use expressions::Expressions;
pub(crate) use options::Delivery;
use options::{SinkOptions, SourceOptions};
use sink::{Encode, PlainSink};
use source::KafkaSource;

/// A topic as a table.
#[derive(Debug)]
pub(crate) struct KafkaTable {
    pub(crate) name: String,
    pub(crate) cluster: KafkaConnection,
    pub(crate) topic: Arc<str>,
    role: Role,
    format: Format,
    source: Option<SourceOptions>,
    sink: Option<(SinkOptions, Expressions)>,
}

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    let format = match request.format {
        Some(Format::Arrow | Format::Parquet) => {
            return Err(Error::invalid(format!("table `{}`: messages are records, not files", request.name))
                .hint("use format = 'csv', 'json' or 'raw_string'"));
        }
        Some(format) => format.clone(),
        None => Format::Json(JsonOptions::default()),
    };
    let role = Role::take(options)?;
    let cluster = options::connection(request, options)?;
    let topic = options.require("topic")?;
    if !is_topic_name(&topic) {
        return Err(options.bad_value("topic", &topic, "a-z, A-Z, 0-9, `.`, `_` and `-`, at most 249 characters"));
    }
    check_not_own(request.name, &topic)?;
    let source = if role.is_source() { Some(SourceOptions::take(options, &topic)?) } else { None };
    let sink = if role.is_sink() {
        let taken = SinkOptions::take(options)?;
        let expressions = Expressions::plan(request.name, request.columns, &taken)?;
        Some((taken, expressions))
    } else {
        None
    };
    let name = request.name.to_owned();
    Ok(Arc::new(KafkaTable { name, cluster, topic: topic.into(), role, format, source, sink }))
}

/// An error of the client, by what the receiver of the engine's errors does. A commit in doubt is tried again from the last commit, which
/// the committed positions show.
pub(crate) fn of_kafka(error: davy_kafka::Error) -> Error {
    match error {
        davy_kafka::Error::Invalid { message, remedy } => Error::invalid(message).hint(remedy),
        davy_kafka::Error::Unavailable(message) => Error::Unavailable(message),
        davy_kafka::Error::InDoubt(message) => Error::Unavailable(format!("a commit is in doubt: {message}")),
        davy_kafka::Error::Fenced(message) => Error::Fenced(message),
    }
}

/// Refuses the topics in which Davy stores what it needs: exchanges of pipelines, and the catalog.
fn check_not_own(table: &str, topic: &str) -> Result<()> {
    if !topic.starts_with("davy.") {
        return Ok(());
    }
    Err(Error::invalid(format!("table `{table}`: topic `{topic}` is Davy's own, and no table may read or write it"))
        .hint("use a topic whose name does not begin with `davy.`"))
}

fn is_topic_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(is_legal) && name != "." && name != ".."
}

impl KafkaTable {
    /// A table's Kafka side, if it has one.
    pub(crate) fn of(table: &dyn Table) -> Option<&Self> {
        (table as &dyn std::any::Any).downcast_ref()
    }

    /// What the script says of delivery.
    pub(crate) fn delivery(&self) -> Option<Delivery> {
        self.sink.as_ref().and_then(|(options, _)| options.delivery)
    }

    /// Whether a partition of its topic is read.
    pub(crate) fn reads(&self, partition: i32) -> bool {
        self.source.as_ref().is_none_or(|options| options.index_among_read(partition).is_some())
    }

    /// Whether its topic is there, and this user gets through to it. A message to a topic that is missing would wait for half a minute.
    pub(crate) fn check_topic(&self) -> Result<()> {
        self.n_partitions().map(drop)
    }

    fn n_partitions(&self) -> Result<i32> {
        let client = MetadataClient::connect(&self.cluster, Isolation::ReadCommitted);
        let found = client.and_then(|client| client.n_partitions(&self.topic)).map_err(of_kafka);
        found.map_err(|error| error.context(&format!("table `{}`", self.name)))
    }

    /// Refuses a broker on which a record that was late in the network could become part of another transaction.
    pub(crate) fn check_broker(&self) -> Result<()> {
        if self.source.as_ref().is_none_or(|source| source.accepts_old_brokers)
            || checks_transactions(&self.cluster).map_err(of_kafka)?
        {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "table `{}`: the broker at `{}` is older than Kafka 3.6, and does not check whether a record belongs to an open \
             transaction: one that is late in the network could come twice, or into the wrong transaction",
            self.name,
            self.cluster.bootstrap_servers()
        ))
        .hint("update the broker, or say 'source.old_brokers' = 'allow' for the table to take that risk"))
    }

    /// How its messages are compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.sink.as_ref().map_or(Compression::Lz4, |(options, _)| options.compression)
    }

    /// Makes messages of its rows.
    pub(crate) fn encoder(&self, plan: &SinkPlan, pipeline: &Arc<str>) -> Result<Encode> {
        let (options, expressions) = self.sink.as_ref().ok_or_else(|| self.is_source_only())?;
        Ok(Encode {
            plan: plan.clone(),
            topic: Arc::clone(&self.topic),
            pipeline: Arc::clone(pipeline),
            rows_per_message: options.rows_per_message,
            message_bytes_max: limits::message_bytes_max(&self.cluster, &self.topic)?,
            n_partitions: if expressions.partition.is_some() { self.n_partitions()? } else { 0 },
            expressions: expressions.clone(),
            encoder: self.format.encoder(&plan.schema)?,
        })
    }

    /// Writes its rows outside of transactions.
    pub(crate) fn plain_sink(&self, plan: &SinkPlan, pipeline: &Arc<str>) -> Result<PlainSink> {
        let (options, _) = self.sink.as_ref().ok_or_else(|| self.is_source_only())?;
        PlainSink::open(&self.cluster, options, self.encoder(plan, pipeline)?)
    }

    fn is_source_only(&self) -> Error {
        Error::internal(format!("table `{}` cannot be written", self.name))
    }
}

impl Table for KafkaTable {
    fn default_format(&self) -> Option<Format> {
        Some(self.format.clone())
    }

    fn side_topic(&self, topic: &str, format: &Format) -> Result<Option<Arc<dyn Table>>> {
        if !is_topic_name(topic) {
            return Err(Error::invalid(format!("table `{}`: `{topic}` is no topic's name", self.name))
                .hint("a name has a-z, A-Z, 0-9, `.`, `_` and `-`, at most 249 characters"));
        }
        check_not_own(&self.name, topic)?;
        let sink = SinkOptions::take(&mut Options::new(&self.name))?;
        let expressions = Expressions::plan(&self.name, &[], &sink)?;
        Ok(Some(Arc::new(Self {
            name: self.name.clone(),
            cluster: self.cluster.clone(),
            topic: topic.into(),
            role: Role::Sink,
            format: format.clone(),
            source: None,
            sink: Some((sink, expressions)),
        })))
    }

    fn has_metadata(&self) -> bool {
        true
    }

    fn is_source(&self) -> bool {
        self.role.is_source()
    }

    fn is_sink(&self) -> bool {
        self.role.is_sink()
    }

    /// A compacted topic keeps the last message of a key.
    fn takes_updates(&self) -> bool {
        self.sink.as_ref().is_some_and(|(options, _)| options.key.is_some())
    }

    fn is_bounded(&self) -> bool {
        self.source.as_ref().is_some_and(|options| options.ranges.is_some())
    }

    fn reads_bytes(&self) -> bool {
        true
    }

    fn source(&self, _schema: &SchemaRef, share: Share) -> Result<Box<dyn Source>> {
        let options =
            self.source.clone().ok_or_else(|| Error::internal(format!("table `{}` cannot be read", self.name)))?;
        let ranges = options.ranges.clone();
        let source = KafkaSource::open(&self.cluster, &self.topic, options, share)?;
        Ok(match ranges {
            Some(ranges) => Box::new(BoundedSource::new(source, ranges)),
            None => Box::new(source),
        })
    }

    fn check_sink(&self, schema: &SchemaRef) -> Result<()> {
        check_types(&self.format, schema)
    }

    fn sink(&self, schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        let plan = SinkPlan { name: self.name.as_str().into(), schema: Arc::clone(schema), table: None };
        Ok(Box::new(self.plain_sink(&plan, &Arc::from(""))?))
    }
}
