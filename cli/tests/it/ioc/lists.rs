//! `davy ioc`: files of indicators to lists, which a script then takes.

use crate::run::{davy, folder, text};

const SCRIPT: &str = "
CREATE TABLE flows (da TEXT) WITH (connector = 'single_file', path = 'flows.csv', type = 'source', format = 'csv');
CREATE TABLE pools (network TEXT, name TEXT)
    WITH (connector = 'lookup', path = 'list.csv', format = 'csv', 'csv.columns' = 'header', key = 'network', match = 'cidr');
SELECT da, name FROM flows JOIN pools ON network = da;";

#[test]
fn imported_indicators_are_a_list_that_flows_are_compared_with() {
    let misp = r#"{"Event": {"info": "pools, \"seen\"", "Attribute": [
        {"type": "ip-dst|port", "value": "198.51.100.1|3333"}, {"type": "domain", "value": "pool.example"}]}}"#;
    let stix = r#"{"type": "bundle", "objects": [
        {"type": "indicator", "name": "net", "pattern": "[ipv4-addr:value = '192.0.2.0/24']"},
        {"type": "indicator", "name": "again", "pattern": "[ipv4-addr:value = '198.51.100.1']"}]}"#;
    let files = [
        ("misp.json", misp),
        ("stix.json", stix),
        ("plain.txt", "# list\n2001:db8::1\nnothing\n"),
        ("s.sql", SCRIPT),
        ("flows.csv", "198.51.100.1\n192.0.2.9\n2001:0db8::1\n198.51.100.2\n"),
        ("other.json", "{\"a\": 1}"),
    ];
    let folder = folder(&files);
    let import = ["ioc", "import", "misp.json", "stix.json", "plain.txt", "--out", "list.csv", "--names", "names.txt"];
    let imported = davy(folder.path(), &import);
    let said = text(&imported.stderr);
    assert!(imported.status.success(), "{said}");
    assert!(said.contains("plain.txt: `nothing` is no address, network or domain name"), "{said}");
    let names = std::fs::read_to_string(folder.path().join("names.txt")).expect("names");
    assert_eq!(names, "pool.example\n");
    let run = davy(folder.path(), &["run", "s.sql", "-o", "csv", "--quiet"]);
    let mut rows: Vec<String> = text(&run.stdout).lines().skip(1).map(str::to_owned).collect();
    rows.sort();
    assert_eq!(
        rows,
        ["192.0.2.9,net", "198.51.100.1,\"pools, \"\"seen\"\"\"", "2001:0db8::1,plain"],
        "{}",
        text(&run.stderr)
    );

    let refused = davy(folder.path(), &["ioc", "import", "other.json", "--out", "list.csv"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("is neither an event of MISP nor a bundle of STIX"),
        "{}",
        text(&refused.stderr)
    );
}

#[test]
fn names_are_resolved_and_found_addresses_stay_until_they_expire() {
    let list = "address,name,expires\n192.0.2.1,gone.example,2020-01-01T00:00:00Z\n192.0.2.2,later.example,2199-01-01T00:00:00Z\n";
    let folder = folder(&[("names.txt", "localhost\n"), ("list.csv", list), ("none.txt", "# nothing\n")]);
    let resolved = davy(folder.path(), &["ioc", "resolve", "names.txt", "--out", "list.csv"]);
    let said = text(&resolved.stderr);
    assert!(resolved.status.success(), "{said}");
    let list = std::fs::read_to_string(folder.path().join("list.csv")).expect("a list");
    assert!(list.contains("127.0.0.1,localhost,") || list.contains("::1,localhost,"), "{list}");
    assert!(list.contains("192.0.2.2,later.example,2199-01-01T00:00:00Z") && !list.contains("gone.example"), "{list}");
    let refused = davy(folder.path(), &["ioc", "resolve", "none.txt", "--out", "list.csv"]);
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}
