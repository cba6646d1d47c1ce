//! `pipelines/ioc.sql` over a small input with every case.

mod lists;
mod reload;

use std::path::Path;

use crate::run::{davy, folder, repository, text};

/// The columns of nfdump's CSV that the pipeline reads, of 48: `ts te td sa da sp dp pr`, then packets and bytes.
fn record(line: &str) -> String {
    let cells: Vec<&str> = line.split_whitespace().collect();
    let [time, sa, sp, da, dp, pr] = cells.as_slice() else { panic!("{line}") };
    let mut columns = vec!["0"; 48];
    let at = format!("2024-05-01 {time}");
    columns[0] = &at;
    columns[1] = &at;
    for (index, value) in
        [(3, sa), (4, da), (5, sp), (6, dp), (7, pr), (11, &"2"), (12, &"100"), (13, &"3"), (14, &"200")]
    {
        columns[index] = value;
    }
    columns.join(",")
}

/// Time, then source and destination with their ports, and the protocol.
const FLOWS: &str = "\
10:00:01 198.51.100.7 40000 203.0.113.9 3333 TCP
10:00:02 203.0.113.9 3333 198.51.100.7 40000 TCP
10:01:00 198.51.100.7 50000 203.0.113.9 45700 TCP
10:01:00 198.51.100.7 40000 203.0.113.9 45700 TCP
10:01:00 198.51.100.8 443 203.0.113.9 45700 TCP
10:02:00 10.1.1.1 40000 192.0.2.77 443 TCP
10:02:00 10.1.1.2 40000 192.0.2.77 4444 TCP
10:02:00 192.0.2.77 40001 10.1.1.3 22 TCP
10:02:00 10.1.1.4 0 192.0.2.77 2048 ICMP
10:02:00 10.1.1.5 40000 203.0.113.50 443 TCP
10:02:00 10.1.1.6 40000 203.0.113.51 443 TCP
10:02:00 2001:db8:1::1 40000 2001:db8::3333 443 TCP
10:03:00 203.0.113.9 40000 10.1.1.1 3333 TCP
10:03:00 203.0.113.9 40000 172.31.1.1 3333 TCP
10:03:00 203.0.113.9 40000 192.168.1.1 3333 TCP
10:03:00 203.0.113.9 40000 127.0.0.1 3333 TCP
10:03:00 203.0.113.9 40000 169.254.1.1 3333 TCP
10:03:00 2001:db8:1::1 40000 fd00::1 3333 TCP
10:03:00 2001:db8:1::1 40000 fe80::1 3333 TCP
10:03:00 2001:db8:1::1 40000 ::1 3333 TCP
10:03:00 198.51.100.7 0 203.0.113.9 3333 ICMP
10:03:00 198.51.100.7 40000 203.0.113.9 443 TCP
10:06:00 198.51.100.7 40000 203.0.113.9 3333 TCP
";

/// Window, severity, client, server with its port, what is listed, flows.
const ALERTS: &str = "\
10:00 critical 10.1.1.1 192.0.2.77:443 192.0.2.0/24 - 1
10:00 critical 10.1.1.2 192.0.2.77:4444 port 192.0.2.0/24 - 1
10:00 critical 10.1.1.3 192.0.2.77:40001 192.0.2.0/24 - 1
10:00 critical 10.1.1.4 192.0.2.77:2048 192.0.2.0/24 - 1
10:00 critical 10.1.1.5 203.0.113.50:443 - pool.example 1
10:00 critical 2001:db8:1::1 2001:db8::3333:443 2001:db8::3333 - 1
10:00 low 198.51.100.7 203.0.113.9:3333 port - - 2
10:00 low 198.51.100.7 203.0.113.9:45700 port - - 1
10:05 low 198.51.100.7 203.0.113.9:3333 port - - 1
";

/// A line as in [`ALERTS`].
fn alert(line: &str) -> String {
    let row: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
    let cell = |name: &str| row[name].as_str().map_or_else(|| row[name].to_string(), str::to_owned);
    let listed = |name: &str| if row[name].is_null() { "-".to_owned() } else { cell(name) };
    let port = if row["by_port"] == true { "port " } else { "" };
    assert_eq!(cell("tags"), "network,mitre_impact,T1496,T1496.001");
    assert_eq!(cell("priority"), if cell("severity") == "critical" { "Critical" } else { "Notice" });
    assert_eq!(row["packets"].as_i64(), row["flows"].as_i64().map(|flows| 5 * flows), "{line}");
    assert_eq!(row["bytes"].as_i64(), row["flows"].as_i64().map(|flows| 300 * flows), "{line}");
    let start = cell("window_start");
    format!(
        "{} {} {} {}:{} {port}{} {} {}",
        &start[11..16],
        cell("severity"),
        cell("client"),
        cell("server"),
        cell("server_port"),
        listed("listed_network"),
        listed("listed_domain"),
        cell("flows")
    )
}

#[test]
fn flows_of_mining_pools_are_found_by_port_address_and_name() {
    let flows: String = FLOWS.lines().map(|line| record(line) + "\n").collect();
    let domains = "address,name,expires\n203.0.113.50,pool.example,2024-05-02T00:00:00Z\n\
                   203.0.113.51,old.example,2024-04-30T00:00:00Z\n";
    let folder = folder(&[("flows.csv", &flows), ("domains.csv", domains)]);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let set = format!("domains.path={}", path("domains.csv"));
    let arguments = ["run", "pipelines/ioc.sql", "--input", &path("flows.csv"), "--set", &set, "-o", "json", "--quiet"];
    let run = davy(Path::new(&repository()), &arguments);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let mut found: Vec<String> = text(&run.stdout).lines().map(alert).collect();
    found.sort();
    assert_eq!(found.join("\n") + "\n", ALERTS);
}
