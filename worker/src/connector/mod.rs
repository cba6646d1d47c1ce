//! The connectors by name: what `connector = '…'` may say on one machine.
//!
//! A connector's module holds its `table` function, which consumes the options and checks what can be checked without
//! cost, and the source and sink that the table opens. What connectors share lies beside them: [`splits`] (one split after
//! the other), [`lines`] (pieces of whole lines), [`background`] (reading what may block), [`project`] (the requested columns).

mod background;
mod blackhole;
mod compression;
mod file;
mod filesystem;
mod generator;
mod http;
mod impulse;
pub(crate) mod kafka;
mod lines;
mod lookup;
mod nfcapd;
mod project;
mod splits;
mod stdout;
mod throttle;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use davy_engine::connector::{Connectors, Stopwatch, Table, TableRequest, VettedLibrary};
use davy_engine::options::Options;
use davy_engine::{Error, Result};
use davy_forest::package::Package;
use davy_forest::scorer::{self, Backend, Scorer};

use crate::clock;

/// Makes the table of one connector.
type MakeTable = fn(&TableRequest<'_>, &mut Options) -> Result<Arc<dyn Table>>;

/// Sorted by name, as errors list them.
const CONNECTORS: [(&str, MakeTable); 10] = [
    ("blackhole", blackhole::table),
    ("filesystem", filesystem::table),
    ("http", http::table),
    ("impulse", impulse::table),
    ("kafka", kafka::table),
    ("lookup", lookup::table),
    ("netflow_generator", generator::table),
    ("nfcapd", nfcapd::table),
    ("single_file", file::table),
    ("stdout", stdout::table),
];

/// Those that a script may name on a cluster. Its author has no rights on the machines that plan and run it: none of these starts a
/// program or prints to a terminal.
const ON_A_CLUSTER: [&str; 7] = ["blackhole", "filesystem", "http", "impulse", "kafka", "lookup", "netflow_generator"];

/// On whose behalf scripts are planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Of the user whose process this is.
    #[default]
    Process,
    /// Of callers of a coordinator.
    Cluster(Variables),
}

/// Which references a script may have: `env:NAME`, `file:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variables {
    /// The callers have the rights of the process.
    All,
    /// What the operator names; with a `*` at its end, everything that begins so.
    Named(Vec<String>),
}

impl Variables {
    fn check(&self, kind: &str, name: &str) -> Result<()> {
        let Self::Named(named) = self else { return Ok(()) };
        let reference = format!("{kind}:{name}");
        // A path could lead out of a folder that is named.
        let is_plain = !name.split('/').any(|part| part == "..");
        let is_named = |allowed: &String| match allowed.strip_suffix('*') {
            Some(prefix) => reference.starts_with(prefix) && is_plain,
            None => reference == *allowed,
        };
        if named.iter().any(is_named) {
            return Ok(());
        }
        Err(Error::invalid(format!("the operator of this cluster does not allow `${{{reference}}}` in scripts"))
            .hint("use one that `--allow-variable` of the coordinator names"))
    }
}

/// The connectors, and where scripts find models' runtime and plug-ins.
#[derive(Clone, Debug, Default)]
pub struct LocalConnectors {
    pub scope: Scope,
    /// The program that reads nfdump's files; `None`: `nfdump` in PATH.
    pub nfdump: Option<PathBuf>,
    /// ONNX Runtime's shared library, where it is known.
    pub onnxruntime: Option<PathBuf>,
    /// Folders from which plug-ins may be loaded.
    pub plugin_dirs: Vec<PathBuf>,
}

impl Connectors for LocalConnectors {
    fn names(&self) -> Vec<&'static str> {
        CONNECTORS.map(|(name, _)| name).to_vec()
    }

    fn variable(&self, kind: &str, name: &str) -> Result<String> {
        if let Scope::Cluster(variables) = &self.scope {
            variables.check(kind, name)?;
        }
        match kind {
            "env" => environment(name),
            "file" => std::fs::read_to_string(name)
                .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
                .map_err(|error| read_error(Path::new(name), &error)),
            _ => Err(Error::invalid(format!("`${{{kind}:{name}}}` is neither `${{env:NAME}}` nor `${{file:path}}`"))),
        }
    }

    fn model(&self, card: &str, backend: Backend) -> Result<Arc<Scorer>> {
        let package = Package::open(Path::new(card))?;
        let options = scorer::Options { backend, onnxruntime: self.onnxruntime.clone() };
        Ok(Arc::new(Scorer::new(&package, &options)?))
    }

    fn library(&self, path: &str, sha256: Option<&str>) -> Result<VettedLibrary> {
        crate::library::vet(&self.plugin_dirs, path, sha256)
    }

    fn stopwatch(&self) -> Stopwatch {
        clock::running
    }

    fn table(&self, request: TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
        let found = CONNECTORS.iter().find(|(name, _)| *name == request.connector);
        let Some((name, make)) = found else { return Err(unknown(&request)) };
        if matches!(self.scope, Scope::Cluster(_)) && !ON_A_CLUSTER.contains(name) {
            return Err(not_on_a_cluster(&request));
        }
        match (*name, &self.nfdump) {
            ("nfcapd", Some(program)) => nfcapd::table_read_by(&request, options, program),
            _ => make(&request, options),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a script names a variable by `${env:NAME}`")]
fn environment(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| {
        Error::invalid(format!("environment variable `{name}` is not set")).hint(format!("export {name}=… first"))
    })
}

fn unknown(request: &TableRequest<'_>) -> Error {
    let names = CONNECTORS.map(|(name, _)| format!("`{name}`")).join(", ");
    Error::invalid(format!("table `{}`: there is no connector `{}`", request.name, request.connector))
        .hint(format!("connectors are {names}"))
}

fn not_on_a_cluster(request: &TableRequest<'_>) -> Error {
    let names = ON_A_CLUSTER.map(|name| format!("`{name}`")).join(", ");
    Error::invalid(format!(
        "table `{}`: connector `{}` cannot be used on a cluster: it depends on one machine",
        request.name, request.connector
    ))
    .hint(format!("use {names}, or run the script by `davy run`"))
}

/// Option `type`: restricts a table that can be read and written to one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Source,
    Sink,
    Either,
}

impl Role {
    fn take(options: &mut Options) -> Result<Self> {
        let choices = [("source", Self::Source), ("sink", Self::Sink)];
        Ok(options.parse_choice("type", &choices)?.unwrap_or(Self::Either))
    }

    /// For connectors that can only be the one.
    fn take_only(self, request: &TableRequest<'_>, options: &mut Options) -> Result<()> {
        let requested = Self::take(options)?;
        if requested == Self::Either || requested == self {
            return Ok(());
        }
        let is = if self == Self::Source { "read, not written" } else { "written, not read" };
        Err(Error::invalid(format!("table `{}`: connector `{}` can only be {is}", request.name, request.connector))
            .hint("leave `type` out"))
    }

    fn is_source(self) -> bool {
        self != Self::Sink
    }

    fn is_sink(self) -> bool {
        self != Self::Source
    }
}

/// An error of reading: `Invalid` if a user has to fix it, `Unavailable` if a retry may succeed.
fn read_error(path: &Path, error: &std::io::Error) -> Error {
    use std::io::ErrorKind;
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound => Error::invalid(format!("file `{path}` does not exist")).hint("check `path`"),
        ErrorKind::PermissionDenied => Error::invalid(format!("file `{path}` may not be read by this user")),
        ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::UnexpectedEof => {
            Error::invalid(format!("file `{path}` is broken or cut off: {error}"))
        }
        _ => Error::Unavailable(format!("cannot read `{path}`: {error}")),
    }
}

/// An error of writing is always `Unavailable`: a full disk may have space again.
fn write_error(path: &Path, error: impl std::fmt::Display) -> Error {
    Error::Unavailable(format!("cannot write `{}`: {error}", path.display()))
}
