//! The tenant service: `GET <service><id>` answers `{"partition": 3}`, the partition of both topics that belongs to a tenant.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use davy_engine::{Error, Result};
use davy_worker::http_client::{Answer, HttpClient, HttpClientOptions, Secret, check_url};

use super::args::{CdsArgs, TenantArgs};
use crate::cluster::worker::read_token;

/// Between the first two requests; doubled after each, up to the longest.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// How often a stop is looked for meanwhile.
const GLANCE: Duration = Duration::from_millis(100);

pub(super) struct Service {
    client: HttpClient,
    /// The beginning of the address, to which a tenant's id is added.
    address: String,
}

impl Service {
    pub(super) fn new(args: &CdsArgs, address: &str) -> Result<Self> {
        let TenantArgs { tenant_ca, tenant_cert, tenant_key, tenant_token_file, .. } = &args.tenants;
        let token = tenant_token_file.as_deref().map(read_token).transpose()?.map(Secret::new);
        let options = HttpClientOptions {
            ca: tenant_ca.clone(),
            certificate: tenant_cert.clone(),
            key: tenant_key.clone(),
            token,
            ..HttpClientOptions::default()
        };
        Ok(Self { client: HttpClient::new(&options)?, address: address.to_owned() })
    }

    /// Refuses an id with which the address would be none.
    pub(super) fn check(&self, tenant: &str) -> Result<()> {
        check_url(&self.url(tenant)).map_err(|error| {
            error.context("tenant service").hint(
                "-ts is the beginning of an address such as http://tenants:8080/tenants/, to which the tenant's id is added",
            )
        })
    }

    /// A tenant's partition, from one request.
    pub(super) fn partition(&self, tenant: &str) -> Result<u32> {
        let url = self.url(tenant);
        let answer = self.client.get(&url).and_then(|answer| read(&answer));
        answer.map_err(|error| error.context(&format!("tenant service `{url}`")))
    }

    /// A tenant's partition. While the service is away, the request is repeated with a back-off. `None` when the process is to stop
    /// before the service has answered.
    pub(super) fn await_partition(&self, tenant: &str, stop: &AtomicBool) -> Result<Option<u32>> {
        let mut pause = SHORTEST;
        while !stop.load(Ordering::Relaxed) {
            match self.partition(tenant) {
                Ok(partition) => return Ok(Some(partition)),
                Err(Error::Unavailable(why)) => {
                    let seconds = pause.as_secs_f32();
                    tracing::warn!(tenant, %why, "no partition is known yet; the next request is in {seconds} s");
                }
                Err(error) => return Err(error),
            }
            wait(pause, stop);
            pause = (pause * 2).min(LONGEST);
        }
        Ok(None)
    }

    fn url(&self, tenant: &str) -> String {
        format!("{}{tenant}", self.address)
    }
}

/// Waits, unless the process is to stop.
pub(super) fn wait(duration: Duration, stop: &AtomicBool) {
    let mut waited = Duration::ZERO;
    while waited < duration && !stop.load(Ordering::Relaxed) {
        std::thread::park_timeout(GLANCE);
        waited += GLANCE;
    }
}

/// The partition in an answer.
fn read(answer: &Answer) -> Result<u32> {
    let Answer { status, body, .. } = answer;
    if answer.is_temporary() {
        return Err(Error::Unavailable(format!("HTTP status {status}")));
    }
    if !(200..300).contains(status) {
        return Err(Error::invalid(format!("HTTP status {status}")).hint("check -ts and -tid"));
    }
    let object: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let partition = object.and_then(|object| u32::try_from(object.get("partition")?.as_u64()?).ok());
    partition.ok_or_else(|| {
        let shown: String = String::from_utf8_lossy(body).trim().chars().take(100).collect();
        Error::invalid(format!("the answer `{shown}` names no partition"))
            .hint("it should be such as {\"partition\": 3}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_partition_or_a_reason() {
        let cases = [
            (200, "{\"partition\": 3, \"more\": 1}\n", "3"),
            (503, "", "HTTP status 503"),
            (429, "", "HTTP status 429"),
            (404, "", "HTTP status 404; check -ts and -tid"),
            (200, "", "the answer `` names no partition; it should be such as {\"partition\": 3}"),
            (200, "{\"partition\": -1}", "the answer `{\"partition\": -1}` names no partition"),
            (200, "{\"partition\": 4294967296}", "the answer `{\"partition\": 4294967296}` names no partition"),
            (200, "[3]", "the answer `[3]` names no partition"),
        ];
        for (status, body, expected) in cases {
            let answer = Answer { status, retry_after: None, body: body.into() };
            let found = read(&answer).map_or_else(|error| error.to_string(), |partition| partition.to_string());
            assert!(found.starts_with(expected), "{status} {body}: {found}");
        }
    }
}
