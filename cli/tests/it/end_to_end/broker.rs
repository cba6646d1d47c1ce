//! A Kafka of the test's own: its broker is killed and paused, which no other test should have to bear.

use std::process::{Command, Output};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::run::{repository, text};

/// One broker or three, until it is dropped.
pub(crate) struct Broker {
    name: String,
    pub(crate) servers: String,
    pub(crate) n_nodes: usize,
    /// Faults so far: each hits the next node.
    n_faults: usize,
}

impl Broker {
    pub(crate) fn start(purpose: &str, n_nodes: usize) -> Self {
        let name = format!("{purpose}-{}", std::process::id());
        let output = script(&["up", &name, "--nodes", &n_nodes.to_string()]);
        assert!(output.status.success(), "no Kafka: {}", text(&output.stderr));
        Self { name, servers: text(&output.stdout).trim().to_owned(), n_nodes, n_faults: 0 }
    }

    pub(crate) fn make_topics(&self, topics: &[(&'static str, i32)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("an admin client");
        let topic =
            |(name, n): &(&'static str, i32)| NewTopic::new(name, *n, TopicReplication::Fixed(self.n_nodes as i32));
        let new: Vec<NewTopic<'_>> = topics.iter().map(topic).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let made = runtime.block_on(admin.create_topics(&new, &AdminOptions::new()));
        made.expect("an answer").into_iter().for_each(|topic| drop(topic.expect("a topic")));
    }

    /// What every client of it begins with.
    pub(crate) fn client(&self) -> ClientConfig {
        client(&self.servers)
    }

    /// As suddenly as a pulled plug; says which node it was.
    pub(crate) fn kill(&mut self) -> String {
        let node = self.next_node();
        self.order("kill", &node);
        node
    }

    /// Starts a node that was killed; returns when it is back.
    pub(crate) fn start_again(&self, node: &str) {
        self.order("start", node);
    }

    /// Whether a transaction is decided while partitions still wait for its markers.
    pub(crate) fn has_prepared_transactions(&self) -> bool {
        let output = script(&[
            "tool",
            "org.apache.kafka.tools.TransactionsCommand",
            "--bootstrap-server",
            &self.servers,
            "list",
        ]);
        assert!(output.status.success(), "list transactions: {}", text(&output.stderr));
        text(&output.stdout).contains("Prepare")
    }

    /// The broker does not answer meanwhile, and no connection breaks.
    pub(crate) fn pause(&mut self, duration: Duration) {
        let node = self.next_node();
        self.order("pause", &node);
        davy_testkit::wait::let_pass(duration);
        self.order("resume", &node);
    }

    /// Each node has its turn, so faults also hit leaders of partitions and coordinators of transactions.
    fn next_node(&mut self) -> String {
        self.n_faults += 1;
        (1 + self.n_faults % self.n_nodes).to_string()
    }

    fn order(&self, what: &str, node: &str) {
        let output = script(&[what, &self.name, node]);
        assert!(output.status.success(), "{what} node {node}: {}", text(&output.stderr));
    }
}

/// A client's configuration; it goes on trying while the broker is away.
pub(crate) fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("reconnect.backoff.max.ms", "500").set("log_level", "0");
    config
}

/// A broker whose test was killed is taken down by the next `up`, which finds its owner gone.
fn script(arguments: &[&str]) -> Output {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Command::new(repository().join("scripts/kafka.sh"))
        .env("DAVY_KAFKA_OWNER", format!("{} {}", host.trim(), std::process::id()))
        .args(arguments)
        .output()
        .expect("the script starts")
}

impl Drop for Broker {
    fn drop(&mut self) {
        let output = script(&["down", &self.name]);
        if !output.status.success() {
            eprintln!("the broker `{}` stays: {}", self.name, text(&output.stderr));
        }
    }
}
