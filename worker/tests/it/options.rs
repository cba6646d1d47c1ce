//! What tables are refused for.

use arrow::datatypes::DataType;
use davy_engine::connector::Connectors;
use davy_worker::connector::{LocalConnectors, Scope, Variables};

use crate::harness::{create, raw, schema};

fn check(connector: &str, options: &[(&str, &str)], expected: &str) {
    let refusal = create(connector, options).refusal();
    assert!(refusal.contains(expected), "{connector} {options:?}: {refusal}");
}

#[test]
fn an_unknown_connector_is_refused_with_the_known_ones() {
    check("kafak", &[], "there is no connector `kafak`; connectors are `blackhole`, `filesystem`");
    assert_eq!(LocalConnectors::default().names().len(), 10);
}

#[test]
fn on_a_cluster_no_table_starts_a_program_or_depends_on_one_machine() {
    let on_a_cluster = LocalConnectors { scope: Scope::Cluster(Variables::All), ..LocalConnectors::default() };
    for connector in ["nfcapd", "single_file", "stdout"] {
        let refusal = create(connector, &[("path", "/tmp/x")]).among(on_a_cluster.clone()).refusal();
        let expected = format!("connector `{connector}` cannot be used on a cluster: it depends on one machine; use");
        assert!(refusal.contains(&expected), "{refusal}");
    }
    assert!(create("blackhole", &[]).among(on_a_cluster).table().is_ok());
}

#[test]
fn callers_of_a_cluster_use_the_variables_that_its_operator_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "t0ken\n").expect("written");
    let named = ["env:PATH".to_owned(), format!("file:{}/*", folder.path().display())];
    let connectors =
        LocalConnectors { scope: Scope::Cluster(Variables::Named(named.to_vec())), ..LocalConnectors::default() };
    let inside = file.display().to_string();
    assert_eq!(connectors.variable("file", &inside).expect("allowed"), "t0ken");
    assert!(connectors.variable("env", "PATH").is_ok());
    let outside = format!("{}/../{}", folder.path().display(), inside);
    for (kind, name) in [("env", "HOME"), ("env", "PATHS"), ("file", "/etc/hostname"), ("file", &outside)] {
        let refusal = connectors.variable(kind, name).expect_err("refused").to_string();
        assert!(refusal.contains(&format!("does not allow `${{{kind}:{name}}}`")), "{refusal}");
    }
    let open = LocalConnectors { scope: Scope::Cluster(Variables::All), ..LocalConnectors::default() };
    assert!(open.variable("file", &inside).is_ok());
}

#[test]
fn topics_of_davy_are_no_tables() {
    for topic in ["davy.catalog.davy", "davy.miners.w1_1"] {
        check("kafka", &[("bootstrap_servers", "127.0.0.1:1"), ("topic", topic)], "is Davy's own");
    }
    let similar = create("kafka", &[("bootstrap_servers", "127.0.0.1:1"), ("topic", "davyd")]);
    assert!(similar.table().is_ok(), "{}", similar.refusal());
}

#[test]
fn a_missing_file_is_refused_while_planning() {
    let options = [("path", "/absent/flows.csv"), ("type", "source")];
    let refusal = create("single_file", &options).format(raw()).refusal();
    assert!(refusal.contains("file `/absent/flows.csv` does not exist; correct `path`"), "{refusal}");
    let refusal = create("single_file", &options[..1]).format(raw()).refusal();
    assert!(refusal.contains("folder `/absent` does not exist"), "{refusal}");
    let refusal = create("filesystem", &options).format(raw()).refusal();
    assert!(refusal.contains("no file matches `/absent/flows.csv`"), "{refusal}");
    check("nfcapd", &[("path", "/absent/*")], "no file matches `/absent/*`");
}

#[test]
fn a_folder_is_no_single_file() {
    let refusal = create("single_file", &[("path", "/tmp")]).format(raw()).refusal();
    assert!(refusal.contains("`/tmp` is a directory; use `connector = 'filesystem'`"), "{refusal}");
}

#[test]
fn options_that_are_missing_wrong_or_unknown_are_named() {
    check("single_file", &[], "option `path` is missing");
    check("single_file", &[("path", "/tmp/x.csv")], "option `format` is missing");
    check("single_file", &[("path", "/tmp/x.parquet"), ("type", "sauce")], "`type` cannot be `sauce`");
    check("single_file", &[("path", "/tmp/x.parquet"), ("read_bytes", "0")], "`read_bytes` cannot be `0`");
    check("filesystem", &[("path", "/tmp/x.parquet"), ("compression", "gzip")], "`compression` is for lines only");
    check("filesystem", &[("path", "/tmp/*.parquet"), ("type", "sink")], "only a folder can be written");
    check("stdout", &[("type", "source")], "connector `stdout` can only be written, not read");
    check("nfcapd", &[("path", "/tmp"), ("type", "sink")], "connector `nfcapd` can only be read, not written");
    check("impulse", &[("event_rate", "-1")], "option `event_rate` cannot be `-1`");
    check("impulse", &[("start_time", "soon")], "option `start_time` cannot be `soon`");
    check("impulse", &[("splits", "0")], "option `splits` cannot be `0`");
    check("netflow_generator", &[("miners", "2")], "option `miners` cannot be `2`");
    check("netflow_generator", &[("hosts", "0")], "option `hosts` cannot be `0`");
    check("netflow_generator", &[("out_of_order", "-1")], "option `out_of_order` cannot be `-1`");
    check("netflow_generator", &[("row", "1")], "unknown option `row`; valid here are `hosts`, `miners`");
    check("lookup", &[], "option `path` is missing");
    for interval in ["0.5s", "0", "soon"] {
        check("lookup", &[("path", "x"), ("reload_interval", interval)], "option `reload_interval` cannot be `");
    }
    check("lookup", &[("path", "x"), ("type", "source")], "unknown option `type`; valid here are");
    check("blackhole", &[("path", "x")], "unknown option `path`; valid here are `type`");
}

#[test]
fn columns_that_are_not_made_are_refused() {
    let declared = schema(&[("counter", DataType::UInt64), ("tme", DataType::Int64)]);
    let refusal = create("impulse", &[]).columns(&declared).refusal();
    assert!(refusal.contains("`impulse` has no column `tme`; its columns are `counter`, `subtask_index`"), "{refusal}");
    let refusal = create("netflow_generator", &[]).columns(&declared).refusal();
    assert!(refusal.contains("`netflow_generator` has no column `counter`"), "{refusal}");
}
