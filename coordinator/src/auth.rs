//! Callers, their roles and their tenants.
//!
//! A token is 32 random bytes or more that only its owner has. The file of tokens holds their SHA-256 digests, so that reading it gives
//! no access. It is read again when it changes. Without a file every caller is an administrator: [`crate::options`] then allows loopback
//! only.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tracing::{error, info};

use crate::error::{Kind, Refused};
use davy_proto::domain::is_name;

/// The tenant of calls that name none.
pub const DEFAULT_TENANT: &str = "default";

/// The largest file of tokens that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Admin,
    /// Looks, and changes pipelines.
    Operator,
    Viewer,
    /// Runs tasks, and nothing else.
    Worker,
}

/// The right that a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Look,
    Change,
    WorkerSession,
}

/// Whose pipelines a caller sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Tenant(Arc<str>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The `name` of the token in the file of tokens, not a secret.
    pub name: Arc<str>,
    pub role: Role,
    pub scope: Scope,
}

impl Role {
    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Operator => "operator",
            Self::Viewer => "viewer",
            Self::Worker => "worker",
        }
    }

    fn may(self, need: Need) -> bool {
        match (self, need) {
            (Self::Admin, _)
            | (Self::Operator, Need::Look | Need::Change)
            | (Self::Viewer, Need::Look)
            | (Self::Worker, Need::WorkerSession) => true,
            (Self::Operator | Self::Viewer, Need::WorkerSession)
            | (Self::Viewer, Need::Change)
            | (Self::Worker, Need::Look | Need::Change) => false,
        }
    }
}

impl Caller {
    /// The caller where tokens are off.
    pub fn anybody() -> Self {
        Self { name: "anybody".into(), role: Role::Admin, scope: Scope::All }
    }

    pub fn check(&self, need: Need) -> Result<(), Refused> {
        // A worker sees the scripts of all tenants, so that an administrator of one tenant is not enough.
        let sees_enough = need != Need::WorkerSession || self.role == Role::Worker || self.scope == Scope::All;
        if self.role.may(need) && sees_enough {
            return Ok(());
        }
        let (role, what) = (
            self.role.as_str(),
            match need {
                Need::Look => "may not look at pipelines",
                Need::Change => "may not change pipelines",
                Need::WorkerSession => "may not run tasks",
            },
        );
        let needed = match need {
            Need::Look => "viewer",
            Need::Change => "operator",
            Need::WorkerSession => "worker",
        };
        Err(Refused::new(Kind::Denied, format!("`{}` has the role `{role}` and {what}", self.name))
            .hint(format!("use a token of the role `{needed}`")))
    }

    /// The tenant of a call that names one, or none.
    ///
    /// Another tenant counts as unknown: a caller does not learn whether it exists.
    pub fn tenant(&self, named: Option<&str>) -> Result<Arc<str>, Refused> {
        let not_found = |named: &str| Refused::new(Kind::NotFound, format!("`{}` sees no tenant `{named}`", self.name));
        match (&self.scope, named) {
            (Scope::Tenant(own), None) => Ok(Arc::clone(own)),
            (Scope::Tenant(own), Some(named)) if **own == *named => Ok(Arc::clone(own)),
            (Scope::Tenant(_), Some(named)) => Err(not_found(named)),
            (Scope::All, None) => Ok(DEFAULT_TENANT.into()),
            (Scope::All, Some(named)) if is_name(named) => Ok(named.into()),
            (Scope::All, Some(named)) => Err(not_found(named)),
        }
    }
}

/// Knows callers by their tokens.
#[derive(Debug)]
pub struct Auth {
    file: Option<PathBuf>,
    known: Mutex<Arc<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    text: String,
    callers: HashMap<[u8; 32], Caller>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    token: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    sha256: String,
    role: Role,
    tenant: String,
}

impl Auth {
    /// Without tokens: every caller is an administrator. Only for ports on loopback.
    pub fn open() -> Self {
        Self { file: None, known: Mutex::default() }
    }

    /// Callers with a token of `file`, which it reads.
    pub fn from_file(file: PathBuf) -> Result<Self, String> {
        let known = parse(read(&file)?).map_err(|wrong| format!("{}: {wrong}", file.display()))?;
        Ok(Self { file: Some(file), known: Mutex::new(Arc::new(known)) })
    }

    /// Whether callers need a token.
    pub fn is_on(&self) -> bool {
        self.file.is_some()
    }

    /// Who sends `authorization`, the header's text.
    pub fn caller(&self, authorization: Option<&str>) -> Result<Caller, Refused> {
        if self.file.is_none() {
            return Ok(Caller::anybody());
        }
        let refused = |message: &str| {
            Refused::new(Kind::Unauthenticated, message).hint("send the header `authorization: Bearer <token>`")
        };
        let text = authorization.ok_or_else(|| refused("there is no token"))?;
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => return Err(refused("the header `authorization` holds no bearer token")),
        };
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let known = Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner));
        known.callers.get(&digest).cloned().ok_or_else(|| refused("the token is not known"))
    }

    /// Reads the file again, and keeps what is known if it is broken. Blocks.
    pub fn refresh(&self) {
        let Some(file) = &self.file else { return };
        let result = read(file).and_then(|text| self.replace(text));
        match result {
            Ok(None) => {}
            Ok(Some(n_tokens)) => info!(file = %file.display(), n_tokens, "tokens read again"),
            Err(wrong) => error!(file = %file.display(), wrong, "tokens are broken; those read before stay in force"),
        }
    }

    fn replace(&self, text: String) -> Result<Option<usize>, String> {
        let is_same = self.known.lock().unwrap_or_else(PoisonError::into_inner).text == text;
        if is_same {
            return Ok(None);
        }
        let known = parse(text)?;
        let n_tokens = known.callers.len();
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
        Ok(Some(n_tokens))
    }
}

fn read(file: &PathBuf) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{}: {error}", file.display());
    let n_bytes = std::fs::metadata(file).map_err(wrong)?.len();
    if FILE_BYTES_MAX < n_bytes {
        return Err(format!("{}: {n_bytes} bytes are no file of tokens", file.display()));
    }
    std::fs::read_to_string(file).map_err(wrong)
}

fn parse(text: String) -> Result<Known, String> {
    // Only the message of the parser's error: its text shows the line, which may hold a token.
    let file: File = toml::from_str(&text).map_err(|error| error.message().to_owned())?;
    if file.token.is_empty() {
        return Err(
            "there is no [[token]], so that no call would be accepted; add one, or leave the option out".to_owned()
        );
    }
    let mut callers = HashMap::new();
    let mut names = std::collections::HashSet::new();
    for entry in file.token {
        let name = entry.name.clone();
        if !is_name(&name) {
            return Err(format!("token `{name}`: a name must be 1 to 100 ASCII alphanumerics, `_` and `-`"));
        }
        if !names.insert(name.clone()) {
            return Err(format!("token `{name}`: the name is there twice"));
        }
        let (digest, caller) = check(entry).map_err(|wrong| format!("token `{name}`: {wrong}"))?;
        if callers.insert(digest, caller).is_some() {
            return Err(format!("token `{name}`: another token has the same digest"));
        }
    }
    Ok(Known { text, callers })
}

fn check(entry: Entry) -> Result<([u8; 32], Caller), String> {
    let digest = unhex(&entry.sha256).ok_or("`sha256` must be 64 hex digits, as `sha256sum` prints them")?;
    let scope = match entry.tenant.as_str() {
        "*" => Scope::All,
        tenant if is_name(tenant) => Scope::Tenant(tenant.into()),
        tenant => {
            return Err(format!(
                "`{tenant}` is no tenant: it must be ASCII alphanumerics, `_` and `-`, or `*` for all"
            ));
        }
    };
    Ok((digest, Caller { name: entry.name.into(), role: entry.role, scope }))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests;
