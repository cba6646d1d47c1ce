//! A DataFusion plan that is run again and again over its inputs: one decoded batch, or one closed window's rows.
//!
//! The leaves of such a plan are placeholders, named slots that a run fills. The plan itself is immutable and shared by all tasks of
//! a stage; what a run needs travels in its `TaskContext`. This is the only module that touches tokio: DataFusion's streams
//! are polled to their end on a private current-thread runtime, so callers stay synchronous.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, internal_datafusion_err};
use datafusion::execution::context::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions, reset_plan_states,
};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, displayable};
use datafusion::prelude::SessionConfig;

use super::cut::{self, Cut, Lower};
use super::guard::{self, Failures};
use crate::error::{Error, Result};

/// The rows of one run, by placeholder.
#[derive(Debug, Default)]
struct Inputs(HashMap<Arc<str>, Vec<RecordBatch>>);

/// A table whose rows are given at each run.
#[derive(Debug)]
pub struct PlaceholderTable {
    pub name: Arc<str>,
    pub schema: SchemaRef,
}

#[async_trait]
impl TableProvider for PlaceholderTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        let schema = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        Ok(Arc::new(PlaceholderExec::new(Arc::clone(&self.name), schema)))
    }
}

/// The leaf that returns its placeholder's rows.
#[derive(Debug)]
pub(super) struct PlaceholderExec {
    pub(super) name: Arc<str>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl PlaceholderExec {
    pub(super) fn new(name: Arc<str>, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { name, schema, properties: Arc::new(properties) }
    }

    /// Picks this leaf's columns by name: an input may have more.
    fn project(&self, batch: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
        let column = |name: &str| {
            batch
                .column_by_name(name)
                .cloned()
                .ok_or_else(|| internal_datafusion_err!("placeholder `{}` lacks `{name}`", self.name))
        };
        let columns = self.schema.fields().iter().map(|field| column(field.name())).collect::<Result<Vec<_>, _>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)
    }
}

impl DisplayAs for PlaceholderExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        write!(f, "PlaceholderScan: {} [{}]", self.name, columns.join(", "))
    }
}

impl ExecutionPlan for PlaceholderExec {
    fn name(&self) -> &'static str {
        "PlaceholderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion, DataFusionError>,
    ) -> Result<TreeNodeRecursion, DataFusionError> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream, DataFusionError> {
        let inputs = context.session_config().get_extension::<Inputs>();
        let batches =
            inputs.as_ref().and_then(|inputs| inputs.0.get(&self.name)).map_or(&[] as &[RecordBatch], Vec::as_slice);
        let batches = batches.iter().map(|batch| self.project(batch)).collect::<Result<Vec<_>, _>>()?;
        Ok(Box::pin(MemoryStream::try_new(batches, Arc::clone(&self.schema), None)?))
    }
}

/// A physical plan over placeholders.
#[derive(Clone)]
pub struct BoundedPlan {
    plan: Arc<dyn ExecutionPlan>,
    config: SessionConfig,
    /// The columns that each placeholder has to bring, in the order of the placeholder's schema.
    pub placeholders: BTreeMap<Arc<str>, Vec<String>>,
    /// Whether some operator keeps what it saw (a join's build side): such a plan is reset before each run.
    keeps_state: bool,
    /// The same query over windows from which keys were left out, where that makes a difference.
    incomplete: Option<Arc<BoundedPlan>>,
}

impl fmt::Debug for BoundedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", displayable(self.plan.as_ref()).indent(false))
    }
}

impl fmt::Display for BoundedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", displayable(self.plan.as_ref()).indent(false))
    }
}

impl BoundedPlan {
    /// Plans an optimised logical plan whose leaves are [`PlaceholderTable`]s.
    pub fn new(state: &SessionState, logical: &LogicalPlan) -> Result<Self, DataFusionError> {
        let plan = block_on(state.query_planner().create_physical_plan(logical, state))?;
        check_aggregates(&plan)?;
        Ok(Self::of(plan, state.config().clone()))
    }

    fn of(plan: Arc<dyn ExecutionPlan>, config: SessionConfig) -> Self {
        let mut placeholders = BTreeMap::new();
        collect_placeholders(&plan, &mut placeholders);
        let keeps_state = !is_stateless(&plan);
        Self { plan, config, placeholders, keeps_state, incomplete: None }
    }

    /// With another plan for windows from which keys were left out.
    #[must_use]
    pub fn with_incomplete(self, incomplete: Option<Self>) -> Self {
        Self { incomplete: incomplete.map(Arc::new), ..self }
    }

    /// The plan for windows that are complete, or not.
    pub(super) fn over(&self, is_complete: bool) -> &Self {
        match &self.incomplete {
            Some(incomplete) if !is_complete => incomplete,
            _ => self,
        }
    }

    /// Cuts the plan into what works row by row on each placeholder, and the rest.
    pub(super) fn cut(&self) -> Result<Cut<Self>> {
        let Cut { lower, upper } = cut::cut(&self.plan)?;
        let lower = lower.into_iter().map(|Lower { reads, name, plan }| Lower {
            reads,
            name,
            plan: Self::of(plan, self.config.clone()),
        });
        Ok(Cut { lower: lower.collect(), upper: Self::of(upper, self.config.clone()) })
    }

    /// The schema of the rows that come out.
    pub fn schema(&self) -> SchemaRef {
        self.plan.schema()
    }

    /// Runs the plan over `inputs` to its end; operators reserve their memory in `runtime`'s pool.
    pub fn run(
        &self,
        inputs: HashMap<Arc<str>, Vec<RecordBatch>>,
        runtime: &Arc<RuntimeEnv>,
    ) -> Result<Vec<RecordBatch>> {
        let config = self.config.clone().with_extension(Arc::new(Inputs(inputs)));
        let context = TaskContext::default().with_session_config(config).with_runtime(Arc::clone(runtime));
        let plan = if self.keeps_state { reset_plan_states(Arc::clone(&self.plan))? } else { Arc::clone(&self.plan) };
        block_on(datafusion::physical_plan::collect(plan, Arc::new(context))).map_err(Error::from)
    }

    /// The same plan with null where an expression fails; failures are noted in `failures`.
    pub(crate) fn nulling(&self, failures: &Failures) -> Result<Self> {
        Ok(Self { plan: guard::plan::nulling(&self.plan, failures)?, ..self.clone() })
    }

    /// The same plan without the rows on which an expression fails; they are noted in `failures`.
    pub(crate) fn dropping(&self, failures: &Failures) -> Result<Self> {
        Ok(Self { plan: guard::plan::dropping(&self.plan, failures)?, keeps_state: true, ..self.clone() })
    }
}

/// Some aggregates are not made for every type, and only say so when they are to begin.
fn check_aggregates(plan: &Arc<dyn ExecutionPlan>) -> Result<(), DataFusionError> {
    let calls = (plan.as_ref() as &dyn Any).downcast_ref::<AggregateExec>().map_or(&[][..], AggregateExec::aggr_expr);
    for call in calls {
        if call.groups_accumulator_supported() {
            call.create_groups_accumulator()?;
        } else {
            call.create_accumulator()?;
        }
    }
    plan.children().into_iter().try_for_each(check_aggregates)
}

fn collect_placeholders(plan: &Arc<dyn ExecutionPlan>, placeholders: &mut BTreeMap<Arc<str>, Vec<String>>) {
    if let Some(placeholder) = (plan.as_ref() as &dyn Any).downcast_ref::<PlaceholderExec>() {
        let columns = placeholders.entry(Arc::clone(&placeholder.name)).or_default();
        for field in placeholder.schema.fields() {
            if !columns.contains(field.name()) {
                columns.push(field.name().clone());
            }
        }
    }
    for child in plan.children() {
        collect_placeholders(child, placeholders);
    }
}

fn is_stateless(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let is_stateless_itself = matches!(
        plan.name(),
        "PlaceholderExec" | "CooperativeExec" | "EmptyExec" | "FilterExec" | "ProjectionExec" | "UnnestExec"
    );
    is_stateless_itself && plan.children().into_iter().all(is_stateless)
}

/// Drives a future on this thread. Nothing in it waits for I/O; the runtime is there because some operators spawn.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a current-thread runtime without drivers needs nothing from the system");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}
