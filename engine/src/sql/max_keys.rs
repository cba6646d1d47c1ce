//! `max_keys` and `overflow`: how many keys the windows of a table's queries may have.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::logical_expr::LogicalPlan;

use super::catalog::Catalog;
use super::locate::locate;
use super::lower::cut::raw_table;
use super::script::{Statement, StatementKind};
use super::sql_error;
use super::window_flags::of_incomplete;
use crate::connector::Table;
use crate::error::{Error, Result, Subject};
use crate::operator::bounded::BoundedPlan;
use crate::operator::window::is_window;
use crate::operator::window::spec::WindowSpec;
use crate::options::Options;
use crate::plan::{Branch, Dataflow, KeyLimit, Output, Overflow, StageInput};

const MAX_KEYS: &str = "max_keys";
const OVERFLOW: &str = "overflow";

/// Takes the options of a table.
pub(super) fn take(name: &str, table: &dyn Table, options: &mut Options) -> Result<Option<KeyLimit>> {
    // Errors about other options list them for sources only.
    if !table.is_source() && !options.has(MAX_KEYS) && !options.has(OVERFLOW) {
        return Ok(None);
    }
    let max_keys: Option<NonZeroU64> = options.parse(MAX_KEYS, "a whole number from 1 on, such as '1000000'")?;
    let overflow = options.parse_choice(OVERFLOW, &[("fail", Overflow::Fail), ("drop_new", Overflow::DropNew)])?;
    let Some(max_keys) = max_keys else {
        return match overflow {
            None => Ok(None),
            Some(_) => {
                Err(Error::invalid(format!("{}: `{OVERFLOW}` does nothing without `{MAX_KEYS}`", options.owner()))
                    .hint("add max_keys = '1000000', or leave it out")
                    .at(options.location(OVERFLOW)))
            }
        };
    };
    if !table.is_source() {
        return Err(Error::invalid(format!("{}: `{MAX_KEYS}` is for a table that is read", options.owner()))
            .hint("move it to the table that the query reads")
            .at(options.location(MAX_KEYS)));
    }
    Ok(Some(KeyLimit { max_keys, overflow: overflow.unwrap_or(Overflow::Fail), table: name.into() }))
}

/// The limit of a window over `input`: the least of those of the tables below.
pub(super) fn of_window(input: &LogicalPlan, spec: WindowSpec) -> Result<Option<KeyLimit>> {
    let mut limits = BTreeSet::new();
    input
        .apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                limits.extend(raw_table(scan).and_then(|def| def.key_limit.clone()));
            }
            Ok(TreeNodeRecursion::Continue)
        })
        .map_err(sql_error)?;
    if let (true, Some(limit)) = (spec.is_session(), limits.iter().find(|limit| limit.overflow == Overflow::DropNew)) {
        return Err(Error::invalid(format!(
            "table `{}` has overflow = 'drop_new', but which keys of sessions are open depends on sessions that have closed, and \
             after a restart Davy does not read those again",
            limit.table
        ))
        .hint("say overflow = 'fail', or leave max_keys out of the table that sessions are made of")
        .about(Subject::Call("session".to_owned())));
    }
    Ok(limits.pop_first())
}

/// Refuses a limit that limits nothing.
pub(super) fn check(statements: &[Statement], dataflows: &[Dataflow]) -> Result<()> {
    let (mut limiting, mut useless) = (BTreeSet::new(), BTreeSet::new());
    for dataflow in dataflows {
        let branches = dataflow.stages.iter().flat_map(|stage| &stage.branches);
        let has_limit = branches.into_iter().any(is_limited);
        for stage in &dataflow.stages {
            let StageInput::Table(source) = &stage.input else { continue };
            if source.table.key_limit.is_some() {
                if has_limit { &mut limiting } else { &mut useless }.insert(Arc::clone(&source.table.name));
            }
        }
    }
    let Some(table) = useless.difference(&limiting).next() else { return Ok(()) };
    let error =
        Error::invalid(format!("table `{table}` has `{MAX_KEYS}`, but no query groups its rows by a window and a key"))
            .hint("leave `max_keys` out, or GROUP BY tumble(…), hop(…) or session(…) and the key");
    for statement in statements {
        if let StatementKind::CreateTable(ddl) = &statement.kind
            && *ddl.name.value == **table
        {
            let at = ddl.options.iter().find(|(name, ..)| name == MAX_KEYS).map(|(_, _, at)| *at);
            return Err(locate(error.at(at), statement));
        }
    }
    Err(error)
}

fn is_limited(branch: &Branch) -> bool {
    match &branch.output {
        Output::Sink(_) => false,
        Output::Exchange(aggregate) => aggregate.key_limit.is_some(),
        Output::Local(windows) => windows.aggregate.key_limit.is_some(),
    }
}

/// Refuses `is_complete` where it could be that of a window that is a key, which has closed long before.
pub(super) fn check_above<'a>(optimized: &LogicalPlan, mut keys: impl Iterator<Item = &'a FieldRef>) -> Result<()> {
    if keys.any(|key| is_window(key.data_type())) && of_incomplete(optimized)?.is_some() {
        return Err(Error::invalid("`is_complete` above windows of windows that are grouped by the inner window too")
            .hint("select `w.is_complete` of the inner window `w` below the outer one, and aggregate it: bool_and(is_complete)"));
    }
    Ok(())
}

/// Plans a query above windows with these limits.
pub(super) fn plan_above(catalog: &Catalog, optimized: &LogicalPlan, limits: &[KeyLimit]) -> Result<BoundedPlan> {
    let plan = |logical: &LogicalPlan| BoundedPlan::new(&catalog.state, logical).map_err(sql_error);
    let may_drop = limits.iter().any(|limit| limit.overflow == Overflow::DropNew);
    let incomplete = if may_drop { of_incomplete(optimized)? } else { None };
    Ok(plan(optimized)?.with_incomplete(incomplete.as_ref().map(plan).transpose()?))
}
