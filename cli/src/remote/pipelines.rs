//! Commands about pipelines: submit, list, describe, pause, resume, stop, update.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use davy_engine::Result;
use davy_proto::v1::{
    GetRequest, ListRequest, ListTasksRequest, PauseRequest, Pipeline, ResumeRequest, StopRequest, SubmitRequest,
    UpdateRequest,
};

use super::args::{
    ChangeArgs, CommonArgs, ListArgs, NameArgs, Output, ScriptArgs, StopArgs, SubmitArgs, UpdateArgs, WaitArgs,
};
use super::client::{Client, cluster, pipelines};
use super::show;
use super::status::{error, error_of};
use super::wait::{Goal, wait};
use crate::output::print;
use crate::script::read_script;

pub(super) async fn submit(client: &mut Client, args: &SubmitArgs) -> Result<()> {
    let request = SubmitRequest {
        name: args.name.clone(),
        sql: read_script(&args.script)?,
        settings: settings(&args.with),
        request_id: request_id(&args.with),
        dry_run: args.dry_run,
    };
    let answer = client.change(async |service| pipelines(service).submit(request.clone()).await).await;
    let pipeline = answer.map_err(|status| error(&status, Some(&args.script)))?;
    if args.dry_run && args.common.output == Output::Table {
        return print(&show::would_run(&pipeline));
    }
    finish(client, pipeline, Goal::Running, &args.wait, &args.common).await
}

pub(super) async fn update(client: &mut Client, args: &UpdateArgs) -> Result<()> {
    let request = UpdateRequest {
        name: args.name.clone(),
        sql: read_script(&args.script)?,
        settings: settings(&args.with),
        request_id: request_id(&args.with),
        fresh: args.fresh,
        expected_version: args.expected_version,
    };
    let answer = client.change(async |service| pipelines(service).update(request.clone()).await).await;
    let script: &Path = &args.script;
    let pipeline = answer.map_err(|status| error(&status, Some(script)))?;
    finish(client, pipeline, Goal::Running, &args.wait, &args.common).await
}

pub(super) async fn pause(client: &mut Client, args: &ChangeArgs) -> Result<()> {
    let request = PauseRequest { name: args.name.clone() };
    let answer = client.change(async |service| pipelines(service).pause(request.clone()).await).await;
    finish(client, answer.map_err(error_of)?, Goal::Paused, &args.wait, &args.common).await
}

pub(super) async fn resume(client: &mut Client, args: &ChangeArgs) -> Result<()> {
    let request = ResumeRequest { name: args.name.clone() };
    let answer = client.change(async |service| pipelines(service).resume(request.clone()).await).await;
    finish(client, answer.map_err(error_of)?, Goal::Running, &args.wait, &args.common).await
}

pub(super) async fn stop(client: &mut Client, args: &StopArgs) -> Result<()> {
    let StopArgs { change, now } = args;
    let request = StopRequest { name: change.name.clone(), now: *now };
    let answer = client.change(async |service| pipelines(service).stop(request.clone()).await).await;
    finish(client, answer.map_err(error_of)?, Goal::Stopped, &change.wait, &change.common).await
}

/// Waits where that is wanted, and prints what has become of the pipeline.
async fn finish(client: &mut Client, sent: Pipeline, goal: Goal, args: &WaitArgs, common: &CommonArgs) -> Result<()> {
    let pipeline = if args.wait { wait(client, &sent, goal, args.timeout).await? } else { sent };
    print(&show::outcome(&pipeline, common.output))
}

pub(super) async fn list(client: &mut Client, args: &ListArgs) -> Result<()> {
    let request = ListRequest { with_stopped: args.all };
    let answer = client.call(async |service| pipelines(service).list(request).await).await.map_err(error_of)?;
    print(&show::pipelines(&answer.pipelines, args.common.output))
}

pub(super) async fn describe(client: &mut Client, args: &NameArgs) -> Result<()> {
    let get = GetRequest { name: args.name.clone() };
    let pipeline = client.call(async |service| pipelines(service).get(get.clone()).await).await.map_err(error_of)?;
    let of = ListTasksRequest { pipeline: args.name.clone() };
    let answer = client.call(async |service| cluster(service).list_tasks(of.clone()).await).await.map_err(error_of)?;
    print(&show::page(&pipeline, &answer.tasks, args.common.output))
}

fn settings(args: &ScriptArgs) -> HashMap<String, String> {
    args.set.iter().cloned().collect()
}

/// The one that was given, else 128 random bits: the standard library keys its hashers with the system's randomness.
fn request_id(args: &ScriptArgs) -> String {
    let keyed = RandomState::new();
    let half = |which: u8| {
        let mut hasher = keyed.build_hasher();
        hasher.write_u8(which);
        hasher.finish()
    };
    args.request_id.clone().unwrap_or_else(|| format!("{:016x}{:016x}", half(0), half(1)))
}
