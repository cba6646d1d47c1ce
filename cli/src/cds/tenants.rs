//! Which tenants a process serves: one of the command line, or all of a file; and which partition belongs to whom.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use davy_engine::{Error, Result};
use serde::Deserialize;

/// A tenant, and where it differs from the others.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Tenant {
    pub(super) id: String,
    /// From this confidence on, `severity` is `high`.
    pub(super) threshold: Option<f64>,
    /// How many messages are read in a second, on average.
    pub(super) messages_per_second: Option<NonZeroU32>,
}

impl Tenant {
    pub(super) fn named(id: &str) -> Self {
        Self { id: id.to_owned(), threshold: None, messages_per_second: None }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tenant: Vec<Tenant>,
}

/// The tenants of a file such as `[[tenant]]`, `id = "7"`, `threshold = 0.8`.
pub(super) fn read(path: &Path) -> Result<Vec<Tenant>> {
    let text = std::fs::read_to_string(path).map_err(|error| Error::invalid(error.to_string()));
    text.and_then(|text| parse(&text)).map_err(|error| error.context(&format!("tenants file `{}`", path.display())))
}

fn parse(text: &str) -> Result<Vec<Tenant>> {
    let example = "a tenant is `[[tenant]]` and below it `id = \"7\"`, and where wanted `threshold = 0.8`, `messages_per_second = 5000`";
    let file: File = toml::from_str(text)
        .map_err(|error| Error::invalid(error.to_string().trim().replace('\n', " ")).hint(example))?;
    let tenants = file.tenant;
    if tenants.is_empty() {
        return Err(Error::invalid("it names no tenant").hint(example));
    }
    for (at, tenant) in tenants.iter().enumerate() {
        let Tenant { id, threshold, .. } = tenant;
        if id.is_empty() {
            return Err(Error::invalid(format!("tenant {} has no id", at + 1)).hint(example));
        }
        if tenants[..at].iter().any(|other| other.id == *id) {
            return Err(Error::invalid(format!("tenant `{id}` is there twice")));
        }
        if threshold.is_some_and(|threshold| !(0.0..=1.0).contains(&threshold)) {
            return Err(Error::invalid(format!("the threshold of tenant `{id}` is not from 0 to 1")));
        }
    }
    Ok(tenants)
}

/// Which tenant has which partition, so that none is read for two.
#[derive(Debug, Default)]
pub(super) struct Claims {
    tenants: Mutex<BTreeMap<u32, String>>,
}

/// A partition that belongs to one tenant until this is dropped.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    claims: &'a Claims,
    partition: u32,
}

impl Claims {
    pub(super) fn take(&self, partition: u32, tenant: &str) -> Result<Claim<'_>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = tenants.get(&partition) {
            return Err(Error::invalid(format!(
                "the tenant service gives partition {partition} to tenant `{tenant}`, and tenant `{other}` has it"
            ))
            .hint("a partition belongs to one tenant; correct the tenant service"));
        }
        tenants.insert(partition, tenant.to_owned());
        Ok(Claim { claims: self, partition })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.claims.tenants.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.partition);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_names_each_tenant_once_with_what_it_has_of_its_own() {
        let text = "[[tenant]]\nid = \"7\"\n[[tenant]]\nid = \"acme\"\nthreshold = 0.5\nmessages_per_second = 1000\n";
        let of_acme =
            Tenant { id: "acme".to_owned(), threshold: Some(0.5), messages_per_second: NonZeroU32::new(1000) };
        assert_eq!(parse(text).expect("tenants"), [Tenant::named("7"), of_acme]);
        let wrong = [
            ("", "missing field `tenant`"),
            ("tenant = []", "it names no tenant"),
            ("[[tenant]]\nid = \"\"", "tenant 1 has no id"),
            ("[[tenant]]\nthreshold = 0.5", "missing field `id`"),
            ("[[tenant]]\nid = \"7\"\n[[tenant]]\nid = \"7\"", "tenant `7` is there twice"),
            ("[[tenant]]\nid = \"7\"\nthreshold = 1.5", "the threshold of tenant `7` is not from 0 to 1"),
            ("[[tenant]]\nid = \"7\"\nthreshold = nan", "the threshold of tenant `7` is not from 0 to 1"),
            ("[[tenant]]\nid = \"7\"\nmessages_per_second = 0", "nonzero"),
            ("[[tenant]]\nid = \"7\"\nspeed = 1", "unknown field `speed`"),
        ];
        for (text, expected) in wrong {
            let error = parse(text).expect_err(expected).to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_partition_belongs_to_one_tenant_at_a_time() {
        let claims = Claims::default();
        let first = claims.take(3, "7").expect("free");
        let error = claims.take(3, "8").expect_err("taken").to_string();
        assert!(error.contains("partition 3 to tenant `8`, and tenant `7` has it"), "{error}");
        claims.take(4, "8").expect("free");
        drop(first);
        claims.take(3, "8").expect("free again");
    }
}
