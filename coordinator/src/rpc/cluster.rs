//! `davy.v1.Cluster`: workers, tasks and scaling, for platform engineers.

use davy_proto::v1;
use davy_proto::v1::cluster_server::Cluster;
use tonic::{Request, Response, Status};

use crate::service::clock::Clock;
use crate::service::handle::Handle;

use super::convert;
use super::gate::Call;
use super::pipelines::which;
use super::status::status;

pub(super) struct ClusterService {
    pub(super) handle: Handle,
    pub(super) address: String,
    pub(super) clock: Clock,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Cluster for ClusterService {
    async fn list_workers(&self, _: Request<v1::ListWorkersRequest>) -> Answer<v1::ListWorkersResponse> {
        let views = self.handle.workers().await.map_err(|refused| status(&refused))?;
        let (now, unix_ms) = (self.clock.now(), self.clock.unix_ms());
        let registered_at = |at| unix_ms - i64::try_from(now.saturating_sub(at).as_millis()).unwrap_or(unix_ms);
        let worker = |view: crate::cluster::WorkerView| {
            let at = registered_at(view.registered_at);
            convert::worker(view, at)
        };
        Ok(Response::new(v1::ListWorkersResponse { workers: views.into_iter().map(worker).collect() }))
    }

    async fn list_tasks(&self, request: Request<v1::ListTasksRequest>) -> Answer<v1::ListTasksResponse> {
        let call = Call::of(&request)?;
        let pipeline = request.into_inner().pipeline;
        let listed = async { self.handle.tasks(which(&call, pipeline, true)?).await };
        let views = listed.await.map_err(|refused| status(&refused))?;
        Ok(Response::new(v1::ListTasksResponse { tasks: views.into_iter().map(convert::task).collect() }))
    }

    async fn get_scaling(&self, _: Request<v1::GetScalingRequest>) -> Answer<v1::Scaling> {
        let decision = self.handle.scaling().await.map_err(|refused| status(&refused))?;
        Ok(Response::new(convert::decision(&decision)))
    }

    async fn get_leader(&self, _: Request<v1::GetLeaderRequest>) -> Answer<v1::GetLeaderResponse> {
        let term = self.handle.leads().map_err(|refused| status(&refused))?;
        let address = self.address.clone();
        Ok(Response::new(v1::GetLeaderResponse { address, term: term.0, is_this_one: true }))
    }
}
