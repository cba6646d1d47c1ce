//! All calls: the roles that may make them, and which of them are streams.

use crate::auth::Need;

/// A call, by the path of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// For metrics and audit.
    pub(super) name: &'static str,
    pub(super) access: Access,
    /// It lasts until the client ends it.
    pub(super) is_stream: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Every caller.
    Anybody,
    /// Callers with a certificate where the server requires them, else with a token: KEDA cannot send tokens.
    CertificateOrToken,
    /// Callers with a token of a role that may.
    Token(Need),
}

impl Method {
    /// The method of a path such as `/davy.v1.Pipelines/Submit`.
    pub(super) fn of(path: &str) -> Self {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let (look, change) = (Access::Token(Need::Look), Access::Token(Need::Change));
        let (name, access, is_stream) = match (service, method) {
            ("davy.v1.Pipelines", "Submit") => ("Submit", change, false),
            ("davy.v1.Pipelines", "Validate") => ("Validate", look, false),
            ("davy.v1.Pipelines", "Explain") => ("Explain", look, false),
            ("davy.v1.Pipelines", "List") => ("List", look, false),
            ("davy.v1.Pipelines", "Get") => ("Get", look, false),
            ("davy.v1.Pipelines", "Pause") => ("Pause", change, false),
            ("davy.v1.Pipelines", "Resume") => ("Resume", change, false),
            ("davy.v1.Pipelines", "Stop") => ("Stop", change, false),
            ("davy.v1.Pipelines", "Update") => ("Update", change, false),
            ("davy.v1.Pipelines", "Watch") => ("Watch", look, true),
            ("davy.v1.Pipelines", "Tail") => ("Tail", look, true),
            ("davy.v1.Cluster", "ListWorkers") => ("ListWorkers", look, false),
            ("davy.v1.Cluster", "ListTasks") => ("ListTasks", look, false),
            ("davy.v1.Cluster", "GetScaling") => ("GetScaling", look, false),
            ("davy.v1.Cluster", "GetLeader") => ("GetLeader", look, false),
            ("davy.v1.Workers", "OpenSession") => ("OpenSession", Access::Token(Need::WorkerSession), true),
            ("externalscaler.ExternalScaler", "StreamIsActive") => ("StreamIsActive", Access::CertificateOrToken, true),
            ("externalscaler.ExternalScaler", _) => ("Scaler", Access::CertificateOrToken, false),
            ("grpc.health.v1.Health", "Watch") => ("HealthWatch", Access::Anybody, true),
            ("grpc.health.v1.Health", _) => ("Health", Access::Anybody, false),
            (_, "ServerReflectionInfo") => ("Reflection", look, true),
            _ => ("unknown", look, false),
        };
        Self { name, access, is_stream }
    }

    /// Whether it is in the audit.
    pub(super) fn is_change(self) -> bool {
        matches!(self.access, Access::Token(Need::Change | Need::WorkerSession))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A new method of a .proto file needs an entry here.
    #[test]
    fn every_method_that_is_served_is_known() {
        for (path, name) in [
            ("/davy.v1.Pipelines/Tail", "Tail"),
            ("/davy.v1.Cluster/GetLeader", "GetLeader"),
            ("/davy.v1.Workers/OpenSession", "OpenSession"),
            ("/externalscaler.ExternalScaler/GetMetrics", "Scaler"),
            ("/grpc.health.v1.Health/Check", "Health"),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "Reflection"),
            ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "Reflection"),
            ("/davy.v1.Pipelines/Submit/more", "unknown"),
            ("/", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(Method::of(path).name, name, "{path}");
        }
        let text = include_str!("../../../proto/proto/davy/v1/pipelines.proto");
        let methods = text.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next());
        for method in methods {
            assert_eq!(Method::of(&format!("/davy.v1.Pipelines/{method}")).name, method);
        }
    }
}
