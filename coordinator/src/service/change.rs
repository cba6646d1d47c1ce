//! What a requested change makes of a pipeline: pure, before and after its script is planned.
//!
//! | request | no such pipeline | runs or is paused | was stopped |
//! |---|---|---|---|
//! | submit | plan, incarnation 1 | exists | plan, next incarnation |
//! | update | not found | plan, same incarnation, or next if `fresh` | precondition |
//! | pause, resume | not found | write; nothing if it is so already | precondition |
//! | stop | not found | write | nothing, or at once |
//!
//! A repeated submit or update, known by its `request_id`, is answered with the present record.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::audit::hex;
use crate::auth::DEFAULT_TENANT;
use crate::error::{Kind, Refused};
use crate::model::{AcceptedRequest, DesiredState, PipelineRecord};
use davy_proto::domain::{DataflowShape, NAME_LENGTH_MAX, PipelineId, PipelineSpec, Script, is_name};

const REQUEST_ID_LENGTH_MAX: usize = 128;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeRequest {
    pub id: PipelineId,
    pub caller: Arc<str>,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Submit {
        script: Script,
        request_id: String,
        /// Checks the script, and changes nothing.
        dry_run: bool,
    },
    Update {
        script: Script,
        request_id: String,
        /// Starts fresh where the new script cannot use the old state.
        fresh: bool,
        /// The update is refused unless the pipeline has this version; 0: any version.
        expected_version: u64,
    },
    Pause,
    Resume,
    Stop {
        /// Without a last commit.
        now: bool,
    },
}

/// The first step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The pipeline is in the desired state already.
    Nothing,
    Write(Box<PipelineRecord>),
    /// The script is planned first.
    Plan(Deployment),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Counts fresh starts, from 1.
    pub incarnation: u32,
    /// The pipeline's name on the broker.
    pub kafka_name: String,
}

pub fn begin(request: &ChangeRequest, current: Option<&PipelineRecord>, now_ms: i64) -> Result<Step, Refused> {
    match &request.change {
        Change::Submit { request_id, dry_run, .. } => begin_submit(request, current, request_id, *dry_run),
        Change::Update { request_id, fresh, expected_version, .. } => {
            let current = known(request, current)?;
            if is_repeated(request, current, request_id)? {
                return Ok(Step::Nothing);
            }
            not_stopped(current)?;
            check_version(current, *expected_version)?;
            let incarnation = current.incarnation + u32::from(*fresh);
            deployment(&request.id, incarnation).map(Step::Plan)
        }
        Change::Pause => set_desired_state(known(request, current)?, DesiredState::Pause, now_ms),
        Change::Resume => set_desired_state(known(request, current)?, DesiredState::Run, now_ms),
        Change::Stop { now } => Ok(stop(known(request, current)?, *now, now_ms)),
    }
}

/// What planning a script has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub deployment: Deployment,
    pub dataflows: Vec<DataflowShape>,
}

/// The record of a change whose script was planned; `None` for a change without a script.
pub fn planned(
    request: &ChangeRequest,
    current: Option<&PipelineRecord>,
    plan: Plan,
    now_ms: i64,
) -> Option<PipelineRecord> {
    let (script, request_id) = request.change.script()?;
    let version = current.map_or(0, |record| record.version) + 1;
    let is_update = matches!(request.change, Change::Update { .. });
    let desired_state = current.filter(|_| is_update).map_or(DesiredState::Run, |record| record.desired_state);
    let accepted = (!request_id.is_empty())
        .then(|| AcceptedRequest { id: request_id.to_owned(), digest: digest(&request.change) });
    let Plan { deployment: Deployment { incarnation, kafka_name }, dataflows } = plan;
    let spec =
        PipelineSpec { id: request.id.clone(), spec_version: version, kafka_name, script: script.clone(), dataflows };
    Some(PipelineRecord {
        spec: Arc::new(spec),
        desired_state,
        version,
        incarnation,
        submitted_by: request.caller.to_string(),
        submitted_at_ms: now_ms,
        changed_at_ms: now_ms,
        request: accepted,
    })
}

/// Checks the name of a new pipeline.
///
/// Names of topics are joined with `--` and `---`, so that a part must not contain them.
pub fn check_name(name: &str) -> Result<(), Refused> {
    let invalid = |message: String| Err(Refused::new(Kind::Invalid, message).hint("such as `miner-windows`"));
    if !is_name(name) {
        let shown: String = name.chars().take(NAME_LENGTH_MAX).collect();
        return invalid(format!(
            "`{}` is no name of a pipeline: it must be 1 to {NAME_LENGTH_MAX} ASCII alphanumerics, `_` and `-`",
            shown.escape_debug()
        ));
    }
    if name.contains("--") || name.starts_with('-') || name.ends_with('-') {
        return invalid(format!("`{name}` is no name of a pipeline: `-` is allowed only between two other characters"));
    }
    Ok(())
}

impl Change {
    /// Its script and `request_id`, if it has a script.
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
    request: &ChangeRequest,
    current: Option<&PipelineRecord>,
    request_id: &str,
    dry_run: bool,
) -> Result<Step, Refused> {
    check_name(&request.id.name)?;
    check_name(&request.id.tenant)?;
    check_request_id(request_id)?;
    let Some(current) = current else { return deployment(&request.id, 1).map(Step::Plan) };
    if !dry_run && is_repeated(request, current, request_id)? {
        return Ok(Step::Nothing);
    }
    if !current.desired_state.is_stopped() {
        return Err(Refused::new(Kind::Exists, format!("another pipeline runs under the name `{}`", request.id.name))
            .hint("update or stop it, or choose another name"));
    }
    deployment(&request.id, current.incarnation + 1).map(Step::Plan)
}

/// Names a pipeline on the broker: `<name>`, or `<tenant>--<name>`; from the second incarnation on with `---r<incarnation>`.
///
/// Parts neither contain `--` nor begin or end with `-`, so that no two pipelines get the same name.
fn deployment(id: &PipelineId, incarnation: u32) -> Result<Deployment, Refused> {
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
    Ok(Deployment { incarnation, kafka_name })
}

fn known<'a>(request: &ChangeRequest, current: Option<&'a PipelineRecord>) -> Result<&'a PipelineRecord, Refused> {
    current.ok_or_else(|| not_found(&request.id.name))
}

pub fn not_found(name: &str) -> Refused {
    let shown: String = name.chars().take(NAME_LENGTH_MAX).collect();
    Refused::new(Kind::NotFound, format!("there is no pipeline `{}`", shown.escape_debug()))
        .hint("`davy list` shows those there are")
}

fn not_stopped(record: &PipelineRecord) -> Result<(), Refused> {
    if record.desired_state.is_stopped() {
        return Err(Refused::new(Kind::Precondition, format!("pipeline `{}` was stopped", record.spec.id.name))
            .hint("submit it again"));
    }
    Ok(())
}

fn check_version(record: &PipelineRecord, expected: u64) -> Result<(), Refused> {
    if expected == 0 || expected == record.version {
        return Ok(());
    }
    let (name, version) = (&record.spec.id.name, record.version);
    Err(Refused::new(Kind::Precondition, format!("pipeline `{name}` has version {version}, not {expected}"))
        .hint("it was changed meanwhile: look at it, and try again with its version"))
}

fn check_request_id(request_id: &str) -> Result<(), Refused> {
    let is_fine = request_id.len() <= REQUEST_ID_LENGTH_MAX && request_id.chars().all(|c| c.is_ascii_graphic());
    if is_fine {
        return Ok(());
    }
    let message = format!("`request_id` has printable ASCII characters, at most {REQUEST_ID_LENGTH_MAX} of them");
    Err(Refused::new(Kind::Invalid, message).hint("such as a UUID"))
}

/// Whether the present record is the result of the same request.
fn is_repeated(request: &ChangeRequest, current: &PipelineRecord, request_id: &str) -> Result<bool, Refused> {
    check_request_id(request_id)?;
    match &current.request {
        Some(accepted) if accepted.id == request_id && accepted.digest == digest(&request.change) => Ok(true),
        Some(accepted) if accepted.id == request_id => {
            Err(Refused::new(Kind::Invalid, format!("`request_id` `{request_id}` was used for another change"))
                .hint("choose another `request_id` for each change"))
        }
        Some(_) | None => Ok(false),
    }
}

/// Digest of all parts of a request. Lengths distinguish `a`, `bc` from `ab`, `c`.
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
        Change::Pause | Change::Resume | Change::Stop { .. } => add("state"),
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

fn set_desired_state(record: &PipelineRecord, desired_state: DesiredState, now_ms: i64) -> Result<Step, Refused> {
    not_stopped(record)?;
    if record.desired_state == desired_state {
        return Ok(Step::Nothing);
    }
    Ok(with_desired_state(record, desired_state, now_ms))
}

fn stop(record: &PipelineRecord, now: bool, now_ms: i64) -> Step {
    match (record.desired_state, now) {
        (DesiredState::StopNow, _) | (DesiredState::Stop, false) => Step::Nothing,
        (DesiredState::Stop | DesiredState::Run | DesiredState::Pause, true) => {
            with_desired_state(record, DesiredState::StopNow, now_ms)
        }
        (DesiredState::Run | DesiredState::Pause, false) => with_desired_state(record, DesiredState::Stop, now_ms),
    }
}

fn with_desired_state(record: &PipelineRecord, desired_state: DesiredState, now_ms: i64) -> Step {
    let version = record.version + 1;
    Step::Write(Box::new(PipelineRecord { desired_state, version, changed_at_ms: now_ms, ..record.clone() }))
}

#[cfg(test)]
mod tests;
