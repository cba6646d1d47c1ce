//! `davy.v1.Pipelines`: what data engineers and analysts do.

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
use crate::limits::{Limits, OpenStream, Streams};
use crate::planner::Script;
use crate::service::change::{Asked, Change, not_found};
use crate::service::clock::Clock;
use crate::service::error::{Kind, Refused};
use crate::service::event::{Watching, Which};
use crate::service::handle::{Handle, Planning};
use crate::service::tasks::Tasks;
use davy_proto::domain::PipelineId;

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

type Events = Pin<Box<dyn Stream<Item = Result<v1::PipelineEvent, Status>> + Send>>;
type Rows = Pin<Box<dyn Stream<Item = Result<v1::TailResponse, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Pipelines for PipelinesService {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Answer<v1::Pipeline> {
        let call = Call::of(&request)?;
        let v1::SubmitRequest { name, sql, settings, request_id, dry_run } = request.into_inner();
        let change = |script| Change::Submit { script, request_id, dry_run };
        self.change_script(&call, name, (sql, settings), change).await.map_err(|refused| status(&refused))
    }

    async fn validate(&self, request: Request<v1::ValidateRequest>) -> Answer<v1::ValidateResponse> {
        let v1::ValidateRequest { sql, settings } = request.into_inner();
        let planned = async {
            self.handle.leads()?;
            let script = self.script(sql, settings)?;
            self.planning.run(move |planner| planner.plan(&script)).await
        };
        let shapes = planned.await.map_err(|refused| status(&refused))?;
        Ok(Response::new(v1::ValidateResponse { dataflows: convert::dataflows(&shapes) }))
    }

    async fn explain(&self, request: Request<v1::ExplainRequest>) -> Answer<v1::ExplainResponse> {
        let v1::ExplainRequest { sql, settings } = request.into_inner();
        let explained = async {
            self.handle.leads()?;
            let script = self.script(sql, settings)?;
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
        self.change_script(&call, name, (sql, settings), change).await.map_err(|refused| status(&refused))
    }

    type WatchStream = Events;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Answer<Events> {
        let call = Call::of(&request)?;
        let name = request.into_inner().name;
        let begun = async {
            let stream = self.streams.open(&call.key)?;
            // Whoever names a pipeline wants to see it, even if it was stopped.
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
        tell_audit(call, name, "");
        self.ask(call, Asked { id: id(call, name)?, who: call.caller.name.clone(), change }).await
    }

    async fn change_script(
        &self,
        call: &Call,
        name: String,
        (sql, settings): (String, HashMap<String, String>),
        change: impl FnOnce(Script) -> Change,
    ) -> Result<Response<v1::Pipeline>, Refused> {
        tell_audit(call, &name, &sql);
        let script = self.script(sql, settings)?;
        let change = change(script);
        let id = match change {
            // Its name is checked by whoever knows what a name is put together with.
            Change::Submit { .. } => {
                PipelineId { tenant: call.caller.tenant(call.tenant.as_deref())?, name: name.into() }
            }
            Change::Update { .. } | Change::Pause | Change::Resume | Change::Stop { .. } => id(call, &name)?,
        };
        self.ask(call, Asked { id, who: call.caller.name.clone(), change }).await
    }

    async fn ask(&self, call: &Call, asked: Asked) -> Result<Response<v1::Pipeline>, Refused> {
        let view = self.handle.change(asked).await?;
        Ok(Response::new(convert::pipeline(&view, detail(call))))
    }

    fn script(&self, sql: String, settings: HashMap<String, String>) -> Result<Script, Refused> {
        let settings: BTreeMap<String, String> = settings.into_iter().collect();
        self.limits.check_script(&sql, &settings)?;
        Ok(Script { sql, settings })
    }
}

/// The pipelines as they are, then each change of one, until one of both ends goes away.
fn events(handle: Handle, watching: Watching, open: OpenStream) -> Events {
    let Watching { pipelines, changes } = watching;
    let event = |view: &_, is_caught_up| {
        Ok(v1::PipelineEvent { pipeline: Some(convert::pipeline(view, Detail::Short)), is_caught_up })
    };
    let n_last = pipelines.len().saturating_sub(1);
    let mut now: Vec<_> = pipelines.iter().enumerate().map(|(n, view)| event(view, n == n_last)).collect();
    if now.is_empty() {
        now.push(Ok(v1::PipelineEvent { pipeline: None, is_caught_up: true }));
    }
    let later = ReceiverStream::new(changes).map(move |view| event(&view, true));
    let end = std::iter::once_with(move || {
        // The stream counts until here, or until its client goes away.
        drop(open);
        let slow = || Refused::new(Kind::Exhausted, "the client reads too slowly").hint("watch again");
        Err(status(&handle.leads().map_or_else(|refused| refused, |_| slow())))
    });
    Box::pin(tokio_stream::iter(now).chain(later).chain(tokio_stream::iter(end)))
}

fn tell_audit(call: &Call, name: &str, sql: &str) {
    let tenant = call.caller.tenant(call.tenant.as_deref()).map(|tenant| tenant.to_string()).unwrap_or_default();
    let sql_sha256 = if sql.is_empty() { String::new() } else { digest(sql) };
    // What is no name may be anything, and of any length.
    let name: String = name.chars().take(davy_proto::domain::NAME_LENGTH_MAX).collect();
    call.is_about(Subject { tenant, name, sql_sha256 });
}

/// A pipeline that is there already. What is no name is the name of none.
fn id(call: &Call, name: &str) -> Result<PipelineId, Refused> {
    let tenant = call.caller.tenant(call.tenant.as_deref())?;
    if !davy_proto::domain::is_name(name) {
        return Err(not_found(name));
    }
    Ok(PipelineId { tenant, name: name.into() })
}

/// All of the tenant; of all tenants for whoever sees all and names none.
pub(super) fn which(call: &Call, name: String, with_stopped: bool) -> Result<Which, Refused> {
    let sees_all = call.caller.scope == Scope::All && call.tenant.is_none() && name.is_empty();
    let tenant = if sees_all { None } else { Some(call.caller.tenant(call.tenant.as_deref())?) };
    let name = (!name.is_empty()).then(|| name.into());
    Ok(Which { tenant, name, with_stopped })
}

/// Values of settings may be secret: who may not change them does not see them.
fn detail(call: &Call) -> Detail {
    match call.caller.role {
        Role::Admin | Role::Operator => Detail::Full,
        Role::Viewer | Role::Worker => Detail::WithSql,
    }
}
