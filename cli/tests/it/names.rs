//! Names that may stand in few modules only, so that what is heavy or impure can be seen, and replaced, in one place.
//!
//! Reads the source as text: comments do not count, and neither does what follows `#[cfg(test)]`.

use crate::repository::{File, files};

/// A name that may stand only in `allowed`, of all Rust files under `within`.
struct Confined {
    names: &'static [&'static str],
    within: &'static str,
    allowed: &'static [&'static str],
    reason: &'static str,
}

const CONFINED: &[Confined] = &[
    Confined {
        names: &["rdkafka", "rdkafka_sys"],
        within: "",
        allowed: &["kafka/src/"],
        reason: "one crate knows the Kafka client",
    },
    Confined {
        names: &["group_values", "GroupValues", "GroupsAccumulator"],
        within: "",
        allowed: &["engine/src/operator/window/pane.rs", "engine/src/sql/offset_ranges/"],
        reason: "DataFusion's group APIs change with each release",
    },
    Confined {
        names: &["ort", "onnxruntime_sys", "OrtGetApiBase"],
        within: "",
        allowed: &["udfs/forest/src/onnxruntime.rs"],
        reason: "one module knows the ONNX runtime",
    },
    Confined {
        names: &["ureq"],
        within: "",
        allowed: &["worker/src/http_client.rs"],
        reason: "one module knows the HTTP client",
    },
    Confined {
        names: &["libloading", "dlopen"],
        within: "",
        allowed: &["engine/src/udf/library/thread.rs"],
        reason: "one module loads plug-ins",
    },
    Confined {
        names: &["tonic", "davy_proto::v1"],
        within: "",
        allowed: &["coordinator/src/rpc/", "worker/src/agent/", "cli/src/remote/", "proto/"],
        reason: "generated gRPC types end at the wire",
    },
    Confined {
        names: &["std::fs", "std::net", "std::env", "std::process", "tokio::fs", "tokio::net", "tokio::time"],
        within: "engine/src/",
        allowed: &[],
        reason: "the engine is pure: the worker brings files, sockets and the clock",
    },
    Confined {
        names: &["crate::sql"],
        within: "engine/src/operator/",
        allowed: &[],
        reason: "plans are made of operators, and operators know nothing of SQL",
    },
    Confined {
        names: &["crate::operator", "crate::sql"],
        within: "engine/src/log/",
        allowed: &[],
        reason: "operators know the log, and the log knows no operator",
    },
];

/// A folder (`…/`), a file name in any folder (`/…`) or one file.
fn is_allowed(path: &str, allowed: &[&str]) -> bool {
    allowed.iter().any(|pattern| match (pattern.starts_with('/'), pattern.ends_with('/')) {
        (true, _) => path.ends_with(pattern),
        (false, true) => path.starts_with(pattern),
        (false, false) => path == *pattern,
    })
}

/// Whether `line` holds `name` as a whole: not as a part of a longer name.
fn holds_name(line: &str, name: &str) -> bool {
    let is_part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        let after = line[start + name.len()..].chars().next();
        !before.is_some_and(is_part_of_name) && !after.is_some_and(is_part_of_name)
    })
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests" || part == "benches")
}

fn strays(files: &[File]) -> Vec<String> {
    let sources = files.iter().filter(|file| file.path.ends_with(".rs") && !is_test_file(&file.path));
    let mut complaints = Vec::new();
    for file in sources {
        for Confined { names, within, allowed, reason } in CONFINED {
            if !file.path.starts_with(within) || is_allowed(&file.path, allowed) {
                continue;
            }
            for (index, line) in file.text().lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
                let is_comment = line.trim_start().starts_with("//");
                let stray = names.iter().find(|name| !is_comment && holds_name(line, name));
                complaints.extend(stray.map(|name| format!("{}:{}: `{name}`: {reason}", file.path, index + 1)));
            }
        }
    }
    complaints
}

#[test]
fn heavy_and_impure_names_stand_only_where_they_belong() {
    assert_eq!(strays(&files()), [""; 0]);
}

#[test]
fn a_name_outside_its_module_is_shown_with_file_and_line() {
    let made_up = [
        File::new("kafka/src/reader.rs", "use rdkafka::consumer::BaseConsumer;"),
        File::new("worker/src/host.rs", "//! h\n// rdkafka is elsewhere.\nuse rdkafka::consumer::BaseConsumer;"),
        File::new("engine/src/operator/closed.rs", "use x::{GroupsAccumulator, y};\nlet group_values_of_mine = 1;"),
        File::new("coordinator/src/rpc/pipelines.rs", "use tonic::Status;"),
        File::new("engine/src/sql/mod.rs", "let x = std::fs::read(p);\n#[cfg(test)]\nmod tests { use std::fs; }"),
        File::new("engine/src/log/wire.rs", "use crate::operator::watermark::SplitWatermark;"),
        File::new("worker/src/files.rs", "use std::fs;"),
    ];
    assert_eq!(
        strays(&made_up),
        [
            "worker/src/host.rs:3: `rdkafka`: one crate knows the Kafka client",
            "engine/src/operator/closed.rs:1: `GroupsAccumulator`: DataFusion's group APIs change with each release",
            "engine/src/sql/mod.rs:1: `std::fs`: the engine is pure: the worker brings files, sockets and the clock",
            "engine/src/log/wire.rs:1: `crate::operator`: operators know the log, and the log knows no operator",
        ]
    );
}
