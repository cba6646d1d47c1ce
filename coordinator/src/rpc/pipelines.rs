//! `davy.v1.Pipelines`: submitting, changing and watching pipelines.

mod tail;

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use davy_proto::v1;
use davy_proto::v1::pipelines_server::Pipelines;
use tokio::sync::Semaphore;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use crate::audit::{Subject, digest};
use crate::auth::{Role, Scope};
use crate::error::{Kind, Refused};
use crate::limits::{Limits, OpenStream, Streams};
use crate::service::change::{Change, ChangeRequest, not_found};
use crate::service::clock::Clock;
use crate::service::event::{Watching, Which};
use crate::service::handle::{Handle, Planning};
use crate::service::tasks::Tasks;
use davy_proto::domain::PipelineId;
use davy_proto::domain::Script;

use super::convert::{self, Detail};
use super::gate::Call;
use super::status::status;

pub(super) struct PipelinesService {
    pub(super) handle: Handle,
    pub(super) planning: Planning,
    pub(super) limits: Arc<Limits>,
    pub(super) streams: Streams,
    pub(super) tails: Arc<Semaphore>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
}

/// A script, as a message has it.
struct ScriptText {
    sql: String,
    settings: HashMap<String, String>,
}

type Events = Pin<Box<dyn Stream<Item = Result<v1::PipelineEvent, Status>> + Send>>;
type Rows = Pin<Box<dyn Stream<Item = Result<v1::TailResponse, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Pipelines for PipelinesService {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Answer<v1::Pipeline> {
        let call = Call::of(&request)?;
        let v1::SubmitRequest { name, sql, settings, request_id, dry_run } = request.into_inner();
        let change = |script| Change::Submit { script, request_id, dry_run };
        self.change_script(&call, name, ScriptText { sql, settings }, change).await.map_err(|refused| status(&refused))
    }

    async fn validate(&self, request: Request<v1::ValidateRequest>) -> Answer<v1::ValidateResponse> {
        let v1::ValidateRequest { sql, settings } = request.into_inner();
        let planned = async {
            self.handle.leads()?;
            let script = self.script(ScriptText { sql, settings })?;
            self.planning.run(move |planner| planner.plan(&script)).await
        };
        let shapes = planned.await.map_err(|refused| status(&refused))?;
        Ok(Response::new(v1::ValidateResponse { dataflows: convert::dataflows(&shapes) }))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Answer<v1::ExplainResponse> {
        let v1::ExplainRequest { sql, settings } = request.into_inner();
        let explained = async {
            self.handle.leads()?;
            let script = self.script(ScriptText { sql, settings })?;
            self.planning.run(move |planner| planner.explain(&script)).await
        };
        let text = explained.await.map_err(|refused| status(&refused))?;
        Ok(Response::new(v1::ExplainResponse { text }))
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Answer<v1::ListResponse> {
        let call = Call::of(&request)?;
        let with_stopped = request.into_inner().with_stopped;
        let listed = async { self.handle.list(which(&call, String::new(), with_stopped)?).await };
        let views = listed.await.map_err(|refused| status(&refused))?;
        let pipelines = views.iter().map(|view| convert::pipeline(view, Detail::Short)).collect();
        Ok(Response::new(v1::ListResponse { pipelines }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Answer<v1::Pipeline> {
        let call = Call::of(&request)?;
        let name = request.into_inner().name;
        let got = async { self.handle.get(id(&call, &name)?).await };
        let view = got.await.map_err(|refused| status(&refused))?;
        Ok(Response::new(convert::pipeline(&view, detail(&call))))
    }

    async fn pause(&self, request: Request<v1::PauseRequest>) -> Answer<v1::Pipeline> {
        let call = Call::of(&request)?;
        let name = request.into_inner().name;
        self.change(&call, &name, Change::Pause).await.map_err(|refused| status(&refused))
    }

    async fn resume(&self, request: Request<v1::ResumeRequest>) -> Answer<v1::Pipeline> {
        let call = Call::of(&request)?;
        let name = request.into_inner().name;
        self.change(&call, &name, Change::Resume).await.map_err(|refused| status(&refused))
    }

    async fn stop(&self, request: Request<v1::StopRequest>) -> Answer<v1::Pipeline> {
        let call = Call::of(&request)?;
        let v1::StopRequest { name, now } = request.into_inner();
        self.change(&call, &name, Change::Stop { now }).await.map_err(|refused| status(&refused))
    }

    async fn update(&self, request: Request<v1::UpdateRequest>) -> Answer<v1::Pipeline> {
        let call = Call::of(&request)?;
        let v1::UpdateRequest { name, sql, settings, request_id, fresh, expected_version } = request.into_inner();
        let change = |script| Change::Update { script, request_id, fresh, expected_version };
        self.change_script(&call, name, ScriptText { sql, settings }, change).await.map_err(|refused| status(&refused))
    }

    type WatchStream = Events;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Events> {
        let call = Call::of(&request)?;
        let name = request.into_inner().name;
        let begun = async {
            let stream = self.streams.open(&call.key)?;
            // A pipeline that is named is shown even if it was stopped.
            let with_stopped = !name.is_empty();
            Ok((stream, self.handle.watch(which(&call, name, with_stopped)?).await?))
        };
        let (stream, watching) = begun.await.map_err(|refused: Refused| status(&refused))?;
        Ok(Response::new(events(self.handle.clone(), watching, stream)))
    }

    type TailStream = Rows;

    async fn tail(&self, request: Request<v1::TailRequest>) -> Answer<Rows> {
        let call = Call::of(&request)?;
        let rows = self.begin_tail(&call, request.into_inner()).await.map_err(|refused| status(&refused))?;
        Ok(Response::new(rows))
    }
}

impl PipelinesService {
    async fn change(&self, call: &Call, name: &str, change: Change) -> Result<Response<v1::Pipeline>, Refused> {
        note_for_audit(call, name, "");
        self.request(call, ChangeRequest { id: id(call, name)?, caller: call.caller.name.clone(), change }).await
    }

    async fn change_script(
        &self,
        call: &Call,
        name: String,
        text: ScriptText,
        change: impl FnOnce(Script) -> Change,
    ) -> Result<Response<v1::Pipeline>, Refused> {
        note_for_audit(call, &name, &text.sql);
        let script = self.script(text)?;
        let change = change(script);
        let id = match change {
            // `change::check_name` checks the name of a new pipeline.
            Change::Submit { .. } => {
                PipelineId { tenant: call.caller.tenant(call.tenant.as_deref())?, name: name.into() }
            }
            Change::Update { .. } | Change::Pause | Change::Resume | Change::Stop { .. } => id(call, &name)?,
        };
        self.request(call, ChangeRequest { id, caller: call.caller.name.clone(), change }).await
    }

    async fn request(&self, call: &Call, request: ChangeRequest) -> Result<Response<v1::Pipeline>, Refused> {
        let view = self.handle.change(request).await?;
        Ok(Response::new(convert::pipeline(&view, detail(call))))
    }

    fn script(&self, text: ScriptText) -> Result<Script, Refused> {
        let ScriptText { sql, settings } = text;
        let settings: BTreeMap<String, String> = settings.into_iter().collect();
        self.limits.check_script(&sql, &settings)?;
        Ok(Script { sql, settings })
    }
}

/// The pipelines as they are, then each change of one, until one of both ends closes.
fn events(handle: Handle, watching: Watching, open: OpenStream) -> Events {
    let Watching { pipelines, changes } = watching;
    let event =
        |view: &_| v1::PipelineEvent { pipeline: Some(convert::pipeline(view, Detail::Short)), is_caught_up: true };
    let mut now: Vec<_> =
        pipelines.iter().map(|view| v1::PipelineEvent { is_caught_up: false, ..event(view) }).collect();
    match now.last_mut() {
        Some(last) => last.is_caught_up = true,
        None => now.push(v1::PipelineEvent { pipeline: None, is_caught_up: true }),
    }
    let later = ReceiverStream::new(changes).map(move |view| Ok(event(&view)));
    let end = std::iter::once_with(move || {
        // The stream counts until here, or until its client leaves.
        drop(open);
        let slow = || Refused::new(Kind::Exhausted, "the client reads too slowly").hint("watch again");
        Err(status(&handle.leads().map_or_else(|refused| refused, |_| slow())))
    });
    Box::pin(tokio_stream::iter(now.into_iter().map(Ok)).chain(later).chain(tokio_stream::iter(end)))
}

fn note_for_audit(call: &Call, name: &str, sql: &str) {
    let tenant = call.caller.tenant(call.tenant.as_deref()).map(|tenant| tenant.to_string()).unwrap_or_default();
    let sql_sha256 = if sql.is_empty() { String::new() } else { digest(sql) };
    // A wrong name may have any length.
    let name: String = name.chars().take(davy_proto::domain::NAME_LENGTH_MAX).collect();
    call.is_about(Subject { tenant, name, sql_sha256 });
}

/// The id of an existing pipeline. A text that is no name is the name of no pipeline.
fn id(call: &Call, name: &str) -> Result<PipelineId, Refused> {
    let tenant = call.caller.tenant(call.tenant.as_deref())?;
    if !davy_proto::domain::is_name(name) {
        return Err(not_found(name));
    }
    Ok(PipelineId { tenant, name: name.into() })
}

/// All pipelines of the tenant; of all tenants for a caller that may see all and names none.
pub(super) fn which(call: &Call, name: String, with_stopped: bool) -> Result<Which, Refused> {
    let sees_all = call.caller.scope == Scope::All && call.tenant.is_none() && name.is_empty();
    let tenant = if sees_all { None } else { Some(call.caller.tenant(call.tenant.as_deref())?) };
    let name = (!name.is_empty()).then(|| name.into());
    Ok(Which { tenant, name, with_stopped })
}

/// Values of settings may be secret: callers that may not change them do not see them.
fn detail(call: &Call) -> Detail {
    match call.caller.role {
        Role::Admin | Role::Operator => Detail::Full,
        Role::Viewer | Role::Worker => Detail::WithSql,
    }
}
