//! Commands about the cluster: workers, tasks, scaling.

use davy_engine::Result;
use davy_proto::v1::{GetScalingRequest, ListTasksRequest, ListWorkersRequest};

use super::args::{CommonArgs, TasksArgs};
use super::client::{Client, cluster};
use super::show;
use super::status::error_of;
use crate::output::print;

pub(super) async fn workers(client: &mut Client, args: &CommonArgs) -> Result<()> {
    let request_of = async |service| cluster(service).list_workers(ListWorkersRequest {}).await;
    let answer = client.call(request_of).await.map_err(error_of)?;
    print(&show::workers(&answer.workers, args.output))
}

pub(super) async fn tasks(client: &mut Client, args: &TasksArgs) -> Result<()> {
    let request = ListTasksRequest { pipeline: args.name.clone().unwrap_or_default() };
    let request_of = async |service| cluster(service).list_tasks(request.clone()).await;
    let answer = client.call(request_of).await.map_err(error_of)?;
    print(&show::tasks(&answer.tasks, args.common.output))
}

pub(super) async fn scaling(client: &mut Client, args: &CommonArgs) -> Result<()> {
    let request_of = async |service| cluster(service).get_scaling(GetScalingRequest {}).await;
    let answer = client.call(request_of).await.map_err(error_of)?;
    print(&show::scaling(&answer, args.output))
}
