//! Streaming calls: `davy watch`, `davy tail`, and the changes that `--wait` follows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use davy_engine::Result;
use davy_proto::v1::{Pipeline, TailRequest, WatchRequest};
use tonic::{Code, Status};

use super::args::{TailArgs, WatchArgs};
use super::client::{Client, delays, is_away, pause, pipelines};
use super::show;
use super::status::error_of;
use crate::output;

pub(super) async fn watch(client: &mut Client, args: &WatchArgs) -> Result<()> {
    let format = args.common.output;
    // A repeated call begins with all pipelines: those without a change are not printed again.
    let mut said: BTreeMap<(String, String), String> = BTreeMap::new();
    let see = |pipeline: Pipeline| {
        let line = show::change(&pipeline, format);
        let before = said.insert((pipeline.tenant, pipeline.name), line.clone());
        if before.as_ref() == Some(&line) { Ok(ControlFlow::Continue(())) } else { show::emit(&line) }
    };
    follow(client, args.name.as_deref().unwrap_or_default(), see).await
}

/// Gives pipelines and their changes to `see` until it has seen enough. A broken call is repeated.
pub(super) async fn follow(
    client: &mut Client,
    name: &str,
    mut see: impl FnMut(Pipeline) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let mut pauses = delays();
    loop {
        let request = WatchRequest { name: name.to_owned() };
        let broken = match client.call(async |service| pipelines(service).watch(request.clone()).await).await {
            Err(status) => status,
            Ok(mut events) => loop {
                match events.message().await {
                    Ok(Some(event)) => {
                        pauses = delays();
                        if let Some(pipeline) = event.pipeline
                            && see(pipeline)?.is_break()
                        {
                            return Ok(());
                        }
                    }
                    Ok(None) => break Status::unavailable("the coordinator has ended the call"),
                    Err(status) => break status,
                }
            },
        };
        match pauses.next().filter(|_| is_away(&broken)) {
            Some(delay) => pause(delay).await,
            None => return Err(error_of(broken)),
        }
    }
}

pub(super) async fn tail(client: &mut Client, args: &TailArgs) -> Result<()> {
    let request = TailRequest {
        name: args.name.clone(),
        table: args.table.clone().unwrap_or_default(),
        limit: args.limit,
        rows_per_second: args.rate,
        from_beginning: args.from_beginning,
    };
    let mut rows =
        client.call(async |service| pipelines(service).tail(request.clone()).await).await.map_err(error_of)?;
    let mut left = if args.limit == 0 { u64::MAX } else { args.limit };
    loop {
        // What was seen is a sample of now: where to go on after a break would be a guess.
        let response = match rows.message().await {
            Ok(Some(response)) => response,
            Ok(None) => return Ok(()),
            Err(status) if status.code() == Code::Unavailable || is_away(&status) => {
                return Err(davy_engine::Error::Unavailable("the coordinator has gone away; tail it again".to_owned()));
            }
            Err(status) => return Err(error_of(status)),
        };
        for row in &response.rows {
            if show::emit(&show::row(row, args.common.output))?.is_break() {
                return Ok(());
            }
            left -= 1;
            if left == 0 {
                return Ok(());
            }
        }
        if response.skipped > 0 {
            output::say(&format!("… {} rows skipped; --rate shows more", super::text::count(response.skipped)));
        }
    }
}
