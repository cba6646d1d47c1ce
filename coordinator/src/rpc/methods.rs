//! All calls: the roles that may make them, and which of them are streams.

use crate::auth::Need;

/// A call, by the path of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    /// The label in metrics and the action in the audit.
    pub(super) name: &'static str,
    pub(super) access: Access,
    pub(super) kind: CallKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// No token is needed, as for health.
    Anybody,
    /// Callers with a certificate where the server requires them, else with a token: KEDA cannot send tokens.
    CertificateOrToken,
    /// Callers with a token of a role that may.
    Token(Need),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Unary,
    /// It lasts until the client ends it.
    Stream,
}

impl Method {
    /// The method of a path such as `/davy.v1.Pipelines/Submit`.
    pub(super) fn of(path: &str) -> Self {
        use CallKind::{Stream, Unary};

        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
        let (look, change) = (Access::Token(Need::Look), Access::Token(Need::Change));
        let (name, access, kind) = match (service, method) {
            ("davy.v1.Pipelines", "Submit") => ("Submit", change, Unary),
            ("davy.v1.Pipelines", "Validate") => ("Validate", look, Unary),
            ("davy.v1.Pipelines", "Explain") => ("Explain", look, Unary),
            ("davy.v1.Pipelines", "List") => ("List", look, Unary),
            ("davy.v1.Pipelines", "Get") => ("Get", look, Unary),
            ("davy.v1.Pipelines", "Pause") => ("Pause", change, Unary),
            ("davy.v1.Pipelines", "Resume") => ("Resume", change, Unary),
            ("davy.v1.Pipelines", "Stop") => ("Stop", change, Unary),
            ("davy.v1.Pipelines", "Update") => ("Update", change, Unary),
            ("davy.v1.Pipelines", "Watch") => ("Watch", look, Stream),
            ("davy.v1.Pipelines", "Tail") => ("Tail", look, Stream),
            ("davy.v1.Cluster", "ListWorkers") => ("ListWorkers", look, Unary),
            ("davy.v1.Cluster", "ListTasks") => ("ListTasks", look, Unary),
            ("davy.v1.Cluster", "GetScaling") => ("GetScaling", look, Unary),
            ("davy.v1.Cluster", "GetLeader") => ("GetLeader", look, Unary),
            ("davy.v1.Workers", "OpenSession") => ("OpenSession", Access::Token(Need::WorkerSession), Stream),
            ("externalscaler.ExternalScaler", "StreamIsActive") => {
                ("StreamIsActive", Access::CertificateOrToken, Stream)
            }
            ("externalscaler.ExternalScaler", _) => ("Scaler", Access::CertificateOrToken, Unary),
            ("grpc.health.v1.Health", "Watch") => ("HealthWatch", Access::Anybody, Stream),
            ("grpc.health.v1.Health", _) => ("Health", Access::Anybody, Unary),
            (_, "ServerReflectionInfo") => ("Reflection", look, Stream),
            _ => ("unknown", look, Unary),
        };
        Self { name, access, kind }
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
