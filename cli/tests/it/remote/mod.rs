//! The commands that call a coordinator, against one with prepared answers: output, exit codes, errors, retries, waiting.

mod changes;
mod connection;
mod output;
mod server;

use std::path::Path;
use std::process::{Command, Output};

use davy_proto::v1::{Dataflow, Pipeline, PipelineState, Scaling, Stage};

use crate::run::text;

/// Runs davy, connected to `url`.
fn query(folder: &Path, url: &str, arguments: &[&str]) -> Output {
    command(folder, url, arguments).output().expect("the binary starts")
}

fn command(folder: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_davy"));
    for name in ["DAVY_TOKEN", "DAVY_TOKEN_FILE", "DAVY_TENANT", "DAVY_CA", "DAVY_CERT", "DAVY_KEY"] {
        command.env_remove(name);
    }
    command.env("DAVY_COORDINATOR", url).current_dir(folder).args(arguments);
    command
}

/// What it prints, when all is well.
fn printed(url: &str, arguments: &[&str]) -> String {
    let output = query(Path::new("."), url, arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn pipeline(state: PipelineState, version: u64) -> Pipeline {
    let stages =
        vec![Stage { input: "flows".to_owned(), n_tasks: 8 }, Stage { input: "exchange 1".to_owned(), n_tasks: 4 }];
    let dataflow = Dataflow { sink: "alerts".to_owned(), fingerprint: "9c1fd20a".to_owned(), stages };
    Pipeline {
        tenant: "soc".to_owned(),
        name: "miners".to_owned(),
        state: state.into(),
        sql: "SELECT src, count(*)\nFROM flows\nGROUP BY src;\n".to_owned(),
        settings: [("memory".to_owned(), "512MiB".to_owned())].into(),
        version,
        incarnation: 2,
        kafka_name: "miners-r2".to_owned(),
        dataflows: vec![dataflow],
        submitted_by: "ann".to_owned(),
        submitted_at_ms: 1_714_557_600_000,
        changed_at_ms: 1_714_557_660_500,
        n_tasks: 12,
        n_tasks_running: 11,
        lag_messages: 1_234_567,
        rows_per_second: 98_765.4,
        problems: Vec::new(),
        scaling: Some(Scaling {
            desired_workers: 3,
            reason: "busy 65 % of 3 workers, below 70 %: 3 workers".to_owned(),
        }),
    }
}
