//! KEDA's external scaler: how many workers Kubernetes should start.
//!
//! KEDA divides a metric by its target to get replicas. The metric is the number of workers itself and the target is one, so that all
//! of the decision is here ([`crate::autoscale`]), and nothing of it in a ScaledObject. A coordinator that does not know (it does not
//! lead, or has just begun) answers UNAVAILABLE: KEDA then keeps the present number.

use std::pin::Pin;

use davy_proto::keda::external_scaler_server::ExternalScaler;
use davy_proto::keda::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

use crate::autoscale::Wanted;

pub(super) const METRIC: &str = "davy_desired_workers";

/// Answers KEDA from a value that the coordinator publishes.
#[derive(Debug)]
pub(super) struct Scaler<T> {
    view: watch::Receiver<T>,
    read: fn(&T) -> Option<Wanted>,
}

impl<T> Scaler<T> {
    /// Reads `Wanted` from each value of `view`; `None`: not known.
    pub(super) fn new(view: watch::Receiver<T>, read: fn(&T) -> Option<Wanted>) -> Self {
        Self { view, read }
    }

    fn wanted(&self) -> Result<Wanted, Status> {
        let unknown = "the number of workers is unknown here: this coordinator does not lead, or has just begun";
        (self.read)(&self.view.borrow()).ok_or_else(|| Status::unavailable(unknown))
    }
}

#[tonic::async_trait]
impl<T: Clone + Send + Sync + 'static> ExternalScaler for Scaler<T> {
    async fn is_active(&self, _: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        Ok(Response::new(IsActiveResponse { result: self.wanted()?.is_active }))
    }

    type StreamIsActiveStream = Pin<Box<dyn Stream<Item = Result<IsActiveResponse, Status>> + Send>>;

    /// The present value, then each change of it.
    async fn stream_is_active(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let read = self.read;
        let mut sent = None;
        let news = WatchStream::new(self.view.clone()).filter_map(move |value| {
            let is_active = read(&value)?.is_active;
            let is_news = sent.replace(is_active) != Some(is_active);
            is_news.then_some(Ok(IsActiveResponse { result: is_active }))
        });
        Ok(Response::new(Box::pin(news)))
    }

    async fn get_metric_spec(&self, _: Request<ScaledObjectRef>) -> Result<Response<GetMetricSpecResponse>, Status> {
        let spec = MetricSpec { metric_name: METRIC.to_owned(), target_size: 1, target_size_float: 0.0 };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    /// Ignores the requested name: there is only one metric, and releases of KEDA differ in its name here.
    async fn get_metrics(&self, _: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let metric_value = i64::from(self.wanted()?.desired_workers);
        let value = MetricValue { metric_name: METRIC.to_owned(), metric_value, metric_value_float: 0.0 };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type View = Option<Wanted>;

    fn scaler(view: View) -> (watch::Sender<View>, Scaler<View>) {
        let (sender, receiver) = watch::channel(view);
        (sender, Scaler::new(receiver, |view| *view))
    }

    fn wanted(is_active: bool, desired_workers: u32) -> View {
        Some(Wanted { is_active, desired_workers })
    }

    fn about() -> Request<ScaledObjectRef> {
        Request::new(ScaledObjectRef::default())
    }

    fn metrics() -> Request<GetMetricsRequest> {
        Request::new(GetMetricsRequest { metric_name: METRIC.to_owned(), ..GetMetricsRequest::default() })
    }

    #[tokio::test]
    async fn the_metric_over_its_target_is_the_number_of_workers() {
        let (sender, scaler) = scaler(wanted(true, 3));
        let spec = scaler.get_metric_spec(about()).await.expect("a spec").into_inner().metric_specs;
        assert_eq!(spec, [MetricSpec { metric_name: METRIC.to_owned(), target_size: 1, target_size_float: 0.0 }]);
        for workers in [3, 7, 0] {
            sender.send_replace(wanted(true, workers));
            let values = scaler.get_metrics(metrics()).await.expect("values").into_inner().metric_values;
            let value =
                MetricValue { metric_name: METRIC.to_owned(), metric_value: workers.into(), metric_value_float: 0.0 };
            assert_eq!(values, [value]);
        }
    }

    #[tokio::test]
    async fn it_is_active_while_a_pipeline_should_run() {
        let (sender, scaler) = scaler(wanted(false, 1));
        assert!(!scaler.is_active(about()).await.expect("an answer").into_inner().result);
        sender.send_replace(wanted(true, 1));
        assert!(scaler.is_active(about()).await.expect("an answer").into_inner().result);
    }

    #[tokio::test]
    async fn a_standby_answers_unavailable() {
        let (_sender, scaler) = scaler(None);
        for status in [scaler.is_active(about()).await.err(), scaler.get_metrics(metrics()).await.err()] {
            assert_eq!(status.map(|status| status.code()), Some(tonic::Code::Unavailable));
        }
        assert!(scaler.get_metric_spec(about()).await.is_ok(), "KEDA requests the spec once, when it starts");
    }

    #[tokio::test]
    async fn only_changes_are_streamed() {
        let (sender, scaler) = scaler(None);
        let mut stream = scaler.stream_is_active(about()).await.expect("a stream").into_inner();
        let mut seen = Vec::new();
        for (view, is_news) in [
            (wanted(true, 1), true),
            (wanted(true, 2), false),
            (None, false),
            (wanted(false, 2), true),
            (wanted(true, 1), true),
        ] {
            sender.send_replace(view);
            if is_news {
                seen.extend(stream.next().await.and_then(Result::ok).map(|answer| answer.result));
            }
        }
        assert_eq!(seen, [true, false, true]);
        drop(sender);
        assert!(stream.next().await.is_none(), "it ends with the coordinator");
    }
}
