//! What a change that somebody asks for makes of a pipeline: pure, before and after the script is planned.
//!
//! | asked | none there | runs or is paused | was stopped |
//! |---|---|---|---|
//! | submit | plan, incarnation 1 | exists | plan, next incarnation |
//! | update | not found | plan, same incarnation, or next if `fresh` | precondition |
//! | pause, resume | not found | write; nothing if it is so already | precondition |
//! | stop | not found | write | nothing, or at once |
//!
//! A submit or update whose request stands there already is answered with what stands there.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::audit::hex;
use crate::auth::DEFAULT_TENANT;
use crate::model::{DataflowShape, PipelineRecord, RequestMark, Wish};
use crate::planner::Script;
use crate::service::error::{Kind, Refused};
use davy_proto::domain::{NAME_LENGTH_MAX, PipelineId, is_name};

/// The longest name of a request.
const REQUEST_ID_LENGTH_MAX: usize = 128;

/// A change of one pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: PipelineId,
    pub who: Arc<str>,
    pub change: Change,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A pipeline that begins.
    Submit {
        script: Script,
        /// The client's name of this; empty: none.
        request_id: String,
        /// Checks all, and changes nothing.
        dry_run: bool,
    },
    Update {
        script: Script,
        /// The client's name of this; empty: none.
        request_id: String,
        /// Begins anew where state cannot be kept.
        fresh: bool,
        /// Refused unless it has this version; 0: any.
        expected_version: u64,
    },
    /// Releases its tasks after a last commit.
    Pause,
    Resume,
    Stop {
        /// Without a last commit.
        now: bool,
    },
}

/// What comes of it, before planning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it is so already.
    Nothing,
    Write(Box<PipelineRecord>),
    /// The script is planned first, to run under this name.
    Plan(Place),
}

/// Where a script is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// How often the pipeline will have begun anew.
    pub incarnation: u32,
    /// What it will be called on the broker.
    pub kafka_name: String,
}

/// Decides what comes first.
pub fn begin(asked: &Asked, current: Option<&PipelineRecord>, now_ms: i64) -> Result<Step, Refused> {
    match &asked.change {
        Change::Submit { request_id, dry_run, .. } => begin_submit(asked, current, request_id, *dry_run),
        Change::Update { request_id, fresh, expected_version, .. } => {
            let current = known(asked, current)?;
            if is_repeated(asked, current, request_id)? {
                return Ok(Step::Nothing);
            }
            not_stopped(current)?;
            check_version(current, *expected_version)?;
            let incarnation = current.incarnation + u32::from(*fresh);
            place(&asked.id, incarnation).map(Step::Plan)
        }
        Change::Pause => wish(known(asked, current)?, Wish::Pause, now_ms),
        Change::Resume => wish(known(asked, current)?, Wish::Run, now_ms),
        Change::Stop { now } => Ok(stop(known(asked, current)?, *now, now_ms)),
    }
}

/// The record once its script was planned.
pub fn planned(
    asked: &Asked,
    current: Option<&PipelineRecord>,
    (place, dataflows): (Place, Vec<DataflowShape>),
    now_ms: i64,
) -> Option<PipelineRecord> {
    let (script, request_id) = asked.change.script()?;
    let version = current.map_or(0, |record| record.version) + 1;
    let is_update = matches!(asked.change, Change::Update { .. });
    let wish = current.filter(|_| is_update).map_or(Wish::Run, |record| record.wish);
    let request =
        (!request_id.is_empty()).then(|| RequestMark { id: request_id.to_owned(), digest: digest(&asked.change) });
    Some(PipelineRecord {
        id: asked.id.clone(),
        wish,
        sql: script.sql.clone(),
        settings: script.settings.clone(),
        version,
        spec_version: version,
        incarnation: place.incarnation,
        kafka_name: place.kafka_name,
        dataflows,
        submitted_by: asked.who.to_string(),
        submitted_at_ms: now_ms,
        changed_at_ms: now_ms,
        request,
    })
}

/// Checks the name of a pipeline that begins.
///
/// Names of topics are put together with `--` and `---`, which must not be found within a part.
pub fn check_name(name: &str) -> Result<(), Refused> {
    let invalid = |message: String| Err(Refused::new(Kind::Invalid, message).hint("such as `miner-windows`"));
    if !is_name(name) {
        let shown: String = name.chars().take(NAME_LENGTH_MAX).collect();
        return invalid(format!(
            "`{}` is no name of a pipeline: it has letters, digits, `_` and `-`, at most {NAME_LENGTH_MAX} of them",
            shown.escape_debug()
        ));
    }
    if name.contains("--") || name.starts_with('-') || name.ends_with('-') {
        return invalid(format!("`{name}` is no name of a pipeline: `-` stands between two other characters"));
    }
    Ok(())
}

impl Change {
    /// What it runs, and the client's name of the request.
    pub fn script(&self) -> Option<(&Script, &str)> {
        match self {
            Self::Submit { script, request_id, .. } | Self::Update { script, request_id, .. } => {
                Some((script, request_id))
            }
            Self::Pause | Self::Resume | Self::Stop { .. } => None,
        }
    }
}

fn begin_submit(
    asked: &Asked,
    current: Option<&PipelineRecord>,
    request_id: &str,
    dry_run: bool,
) -> Result<Step, Refused> {
    check_name(&asked.id.name)?;
    check_name(&asked.id.tenant)?;
    check_request_id(request_id)?;
    let Some(current) = current else { return place(&asked.id, 1).map(Step::Plan) };
    if !dry_run && is_repeated(asked, current, request_id)? {
        return Ok(Step::Nothing);
    }
    if !is_stopped(current) {
        return Err(Refused::new(Kind::Exists, format!("another pipeline runs under the name `{}`", asked.id.name))
            .hint("update or stop it, or choose another name"));
    }
    place(&asked.id, current.incarnation + 1).map(Step::Plan)
}

/// What a pipeline is called on the broker: `<name>`, or `<tenant>--<name>`; from the second time on with `---r<incarnation>`.
///
/// Parts neither contain `--` nor begin or end with `-`, so that no two pipelines get the same.
fn place(id: &PipelineId, incarnation: u32) -> Result<Place, Refused> {
    let PipelineId { tenant, name } = id;
    let mut kafka_name = if **tenant == *DEFAULT_TENANT { name.to_string() } else { format!("{tenant}--{name}") };
    if incarnation > 1 {
        kafka_name.push_str(&format!("---r{incarnation}"));
    }
    if NAME_LENGTH_MAX < kafka_name.len() {
        return Err(Refused::new(
            Kind::Invalid,
            format!("on the broker the pipeline would be `{kafka_name}`, which is longer than {NAME_LENGTH_MAX}"),
        )
        .hint("choose a shorter name"));
    }
    Ok(Place { incarnation, kafka_name })
}

fn known<'a>(asked: &Asked, current: Option<&'a PipelineRecord>) -> Result<&'a PipelineRecord, Refused> {
    current.ok_or_else(|| not_found(&asked.id.name))
}

/// There is no pipeline of that name.
pub fn not_found(name: &str) -> Refused {
    let shown: String = name.chars().take(NAME_LENGTH_MAX).collect();
    Refused::new(Kind::NotFound, format!("there is no pipeline `{}`", shown.escape_debug()))
        .hint("`davy list` shows those there are")
}

fn is_stopped(record: &PipelineRecord) -> bool {
    match record.wish {
        Wish::Run | Wish::Pause => false,
        Wish::Stop | Wish::StopNow => true,
    }
}

fn not_stopped(record: &PipelineRecord) -> Result<(), Refused> {
    if is_stopped(record) {
        return Err(Refused::new(Kind::Precondition, format!("pipeline `{}` was stopped", record.id.name))
            .hint("submit it anew"));
    }
    Ok(())
}

fn check_version(record: &PipelineRecord, expected: u64) -> Result<(), Refused> {
    if expected == 0 || expected == record.version {
        return Ok(());
    }
    let (name, version) = (&record.id.name, record.version);
    Err(Refused::new(Kind::Precondition, format!("pipeline `{name}` has version {version}, not {expected}"))
        .hint("somebody has changed it: look at it, and try again with its version"))
}

fn check_request_id(request_id: &str) -> Result<(), Refused> {
    let is_fine = request_id.len() <= REQUEST_ID_LENGTH_MAX && request_id.chars().all(|c| c.is_ascii_graphic());
    if is_fine {
        return Ok(());
    }
    let message = format!("`request_id` has printable ASCII characters, at most {REQUEST_ID_LENGTH_MAX} of them");
    Err(Refused::new(Kind::Invalid, message).hint("such as a UUID"))
}

/// Whether what stands there came of the same request.
fn is_repeated(asked: &Asked, current: &PipelineRecord, request_id: &str) -> Result<bool, Refused> {
    check_request_id(request_id)?;
    match &current.request {
        Some(mark) if mark.id == request_id && mark.digest == digest(&asked.change) => Ok(true),
        Some(mark) if mark.id == request_id => {
            Err(Refused::new(Kind::Invalid, format!("`request_id` `{request_id}` was used for something else"))
                .hint("choose another `request_id` for each change"))
        }
        Some(_) | None => Ok(false),
    }
}

/// Of all that a request asks for. Lengths keep `a`, `bc` apart from `ab`, `c`.
fn digest(change: &Change) -> String {
    let mut hasher = Sha256::new();
    let mut add = |text: &str| {
        hasher.update((text.len() as u64).to_be_bytes());
        hasher.update(text);
    };
    match change {
        Change::Submit { .. } => add("submit"),
        Change::Update { fresh: false, .. } => add("update"),
        Change::Update { fresh: true, .. } => add("update fresh"),
        Change::Pause | Change::Resume | Change::Stop { .. } => add("wish"),
    }
    if let Some((script, _)) = change.script() {
        add(&script.sql);
        for (name, value) in &script.settings {
            add(name);
            add(value);
        }
    }
    hex(&hasher.finalize())
}

fn wish(record: &PipelineRecord, wish: Wish, now_ms: i64) -> Result<Step, Refused> {
    not_stopped(record)?;
    if record.wish == wish {
        return Ok(Step::Nothing);
    }
    Ok(with_wish(record, wish, now_ms))
}

fn stop(record: &PipelineRecord, now: bool, now_ms: i64) -> Step {
    match (record.wish, now) {
        (Wish::StopNow, _) | (Wish::Stop, false) => Step::Nothing,
        (Wish::Stop | Wish::Run | Wish::Pause, true) => with_wish(record, Wish::StopNow, now_ms),
        (Wish::Run | Wish::Pause, false) => with_wish(record, Wish::Stop, now_ms),
    }
}

fn with_wish(record: &PipelineRecord, wish: Wish, now_ms: i64) -> Step {
    let version = record.version + 1;
    Step::Write(Box::new(PipelineRecord { wish, version, changed_at_ms: now_ms, ..record.clone() }))
}

#[cfg(test)]
mod tests;
