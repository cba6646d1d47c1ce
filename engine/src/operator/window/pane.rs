//! The aggregate state of many groups at once, over DataFusion's group APIs; the only module that names them.
//!
//! A [`GroupStates`] is filled by rows (`update`) or by partials (`merge`) and gives either states (to be merged elsewhere) or
//! values. Both empty it: `GroupsAccumulator::state(EmitTo::All)` starts afresh, which is just what a flush wants.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int64Type, Schema, SchemaRef};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::emit::emit_in_steps;
use super::extreme::{self, Extreme};
use super::sum::{WideSum, wide_type};
use crate::error::{Error, Result};
use crate::operator::float::canonical;

/// One aggregate call of a query.
#[derive(Clone, Debug)]
pub struct AggregateCall {
    /// The function with its arguments over the partial operator's input.
    pub function: Arc<AggregateFunctionExpr>,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
}

impl AggregateCall {
    /// The columns of its state, with names made unique by `index`.
    pub fn state_fields(&self, index: usize) -> Result<Vec<FieldRef>> {
        let mut fields = self.function.state_fields()?;
        if let Some(wide) = self.wide_sum() {
            let widen = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(wide.clone()));
            fields = fields.iter().map(widen).collect();
        }
        let rename = |(part, field): (usize, &FieldRef)| {
            Arc::new(field.as_ref().clone().with_name(format!("__state_{index}_{part}")).with_nullable(true))
        };
        Ok(fields.iter().enumerate().map(rename).collect())
    }

    /// The arguments, and for ordered aggregates the ordering columns after them.
    fn arguments(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let evaluate = |expr: &Arc<dyn PhysicalExpr>| -> Result<ArrayRef> {
            Ok(expr.evaluate(batch)?.into_array(batch.num_rows())?)
        };
        let mut arrays = self.function.expressions().iter().map(evaluate).collect::<Result<Vec<_>>>()?;
        if self.counts_values() {
            arrays.iter_mut().for_each(|array| *array = canonical(array));
        }
        for order in self.function.order_bys() {
            arrays.push(evaluate(&order.expr)?);
        }
        Ok(arrays)
    }

    /// Whether equal values count once.
    fn counts_values(&self) -> bool {
        self.function.is_distinct() || self.function.fun().name() == "approx_distinct"
    }

    /// The type in which the sum is kept and given out, if it is one that is wider than its result.
    pub(crate) fn wide_sum(&self) -> Option<DataType> {
        let is_sum = self.function.fun().name() == "sum" && !self.function.is_distinct();
        wide_type(self.function.field().data_type()).filter(|_| is_sum)
    }

    /// Whether there is state for it at all: some functions are not made for every type.
    pub(crate) fn check(&self) -> Result<()> {
        if self.accumulates_alone() {
            self.function.create_accumulator()?;
        }
        self.accumulator().map(drop)
    }

    /// Whether the function has state of one group only.
    fn accumulates_alone(&self) -> bool {
        !self.function.groups_accumulator_supported()
    }

    fn accumulator(&self) -> Result<Accumulator> {
        if let Some(sum) = self.wide_sum().map(WideSum::new) {
            return Ok(Accumulator::WideSum(sum));
        }
        if let Some(extreme) = Extreme::of(&self.function) {
            return Ok(Accumulator::Extreme(extreme));
        }
        if !self.accumulates_alone() {
            return Ok(Accumulator::Other(self.function.create_groups_accumulator()?));
        }
        let function = Arc::clone(&self.function);
        Ok(Accumulator::PerGroup(Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator()))))
    }
}

/// The states of one call for all groups.
enum Accumulator {
    WideSum(WideSum),
    Extreme(Extreme),
    /// An object for each group, each of which gives out arrays with one value.
    PerGroup(Box<dyn GroupsAccumulator>),
    Other(Box<dyn GroupsAccumulator>),
}

impl Accumulator {
    fn size(&self) -> usize {
        match self {
            Self::WideSum(sum) => sum.size(),
            Self::Extreme(extreme) => extreme.size(),
            Self::PerGroup(other) | Self::Other(other) => other.size(),
        }
    }

    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> Result<()> {
        match self {
            Self::WideSum(sum) => sum.update(&values[0], groups, filter, n_groups),
            Self::Extreme(extreme) => extreme.update(&values[0], groups, filter, n_groups),
            Self::PerGroup(other) | Self::Other(other) => Ok(other.update_batch(values, groups, filter, n_groups)?),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], n_groups: usize) -> Result<()> {
        match self {
            Self::WideSum(sum) => sum.update(&states[0], groups, None, n_groups),
            Self::Extreme(extreme) => extreme.update(&states[0], groups, None, n_groups),
            Self::PerGroup(other) | Self::Other(other) => Ok(other.merge_batch(states, groups, n_groups)?),
        }
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        match self {
            Self::WideSum(sum) => Ok(vec![sum.of_rows(&values[0], filter)?]),
            Self::Extreme(_) => Ok(vec![extreme::of_rows(&values[0], filter)?]),
            Self::PerGroup(other) | Self::Other(other) => Ok(other.convert_to_state(values, filter)?),
        }
    }

    fn state(&mut self, n_groups: usize) -> Result<Vec<ArrayRef>> {
        match self {
            Self::WideSum(sum) => Ok(vec![sum.emit()]),
            Self::Extreme(extreme) => Ok(vec![extreme.emit()]),
            Self::PerGroup(other) => emit_in_steps(n_groups, |groups| Ok(other.state(groups)?)),
            Self::Other(other) => Ok(other.state(EmitTo::All)?),
        }
    }

    fn evaluate(&mut self, n_groups: usize) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Extreme(extreme) => Ok(vec![extreme.emit()]),
            Self::WideSum(sum) => Ok(vec![sum.emit()]),
            Self::PerGroup(other) => emit_in_steps(n_groups, |groups| Ok(vec![other.evaluate(groups)?])),
            Self::Other(other) => Ok(vec![other.evaluate(EmitTo::All)?]),
        }
    }
}

/// What is grouped and aggregated, and how partials of it look.
#[derive(Clone, Debug)]
pub struct GroupLayout {
    /// The group's columns (for stage 1 with the pane first).
    pub keys: Fields,
    pub calls: Arc<[AggregateCall]>,
    /// `keys…, states…, __rows`.
    pub partial_schema: SchemaRef,
    /// How many columns of `partial_schema` are the state of each call.
    pub state_widths: Vec<usize>,
}

/// The hidden count of rows behind each partial.
pub const ROWS: &str = "__rows";

impl GroupLayout {
    pub fn new(keys: Fields, calls: Arc<[AggregateCall]>) -> Result<Self> {
        let mut fields: Vec<FieldRef> = keys.iter().cloned().collect();
        let mut state_widths = Vec::with_capacity(calls.len());
        for (index, call) in calls.iter().enumerate() {
            let states = call.state_fields(index)?;
            state_widths.push(states.len());
            fields.extend(states);
        }
        fields.push(Arc::new(Field::new(ROWS, DataType::Int64, false)));
        Ok(Self { keys, calls, partial_schema: Arc::new(Schema::new(fields)), state_widths })
    }
}

/// Aggregate state per group. Group ids are dense and stay valid until the next `emit_*`.
pub struct GroupStates {
    layout: Arc<GroupLayout>,
    /// `None` where there are no keys: one group.
    groups: Option<Box<dyn GroupValues>>,
    accumulators: Vec<Accumulator>,
    rows: Vec<i64>,
    /// Scratch: the group of each input row.
    indices: Vec<usize>,
}

impl GroupStates {
    pub fn new(layout: Arc<GroupLayout>) -> Result<Self> {
        let groups = if layout.keys.is_empty() {
            None
        } else {
            let schema = Arc::new(Schema::new(layout.keys.clone()));
            Some(new_group_values(schema, &GroupOrdering::None)?)
        };
        let accumulators = layout.calls.iter().map(AggregateCall::accumulator).collect::<Result<Vec<_>>>()?;
        Ok(Self { layout, groups, accumulators, rows: Vec::new(), indices: Vec::new() })
    }

    /// How many groups there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// How many columns are the key.
    pub fn n_keys(&self) -> usize {
        self.layout.keys.len()
    }

    pub fn size(&self) -> usize {
        let accumulators: usize = self.accumulators.iter().map(|accumulator| accumulator.size()).sum();
        let groups = self.groups.as_ref().map_or(0, |groups| groups.size());
        accumulators + groups + (self.rows.capacity() + self.indices.capacity()) * size_of::<usize>()
    }

    /// Finds or makes each row's group.
    fn intern(&mut self, keys: &[ArrayRef], n_rows: usize) -> Result<()> {
        match &mut self.groups {
            Some(groups) => {
                groups.intern(keys, &mut self.indices)?;
                self.rows.resize(groups.len(), 0);
            }
            None => {
                self.indices.clear();
                self.indices.resize(n_rows, 0);
                self.rows.resize(1, 0);
            }
        }
        Ok(())
    }

    /// Aggregates the rows of `batch`, whose group columns are `keys`.
    pub fn update(&mut self, keys: &[ArrayRef], batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.intern(keys, batch.num_rows())?;
        for &group in &self.indices {
            self.rows[group] += 1;
        }
        let layout = Arc::clone(&self.layout);
        for (call, accumulator) in layout.calls.iter().zip(&mut self.accumulators) {
            let arguments = call.arguments(batch)?;
            let filter = call.filter.as_ref().map(|filter| evaluate_filter(filter, batch)).transpose()?;
            accumulator.update_batch(&arguments, &self.indices, filter.as_ref(), self.rows.len())?;
        }
        Ok(())
    }

    /// Whether rows may [`Self::pass`]. Not with ordered-set aggregates, which take their constant argument for a column there.
    pub fn may_pass(&self) -> bool {
        !self.layout.calls.iter().any(|call| call.function.fun().supports_within_group_clause())
    }

    /// Makes a partial of each row by itself, without looking for its group: `keys…, states…, __rows`.
    pub fn pass(&self, keys: &[ArrayRef], batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let mut columns = keys.to_vec();
        for (call, accumulator) in self.layout.calls.iter().zip(&self.accumulators) {
            let arguments = call.arguments(batch)?;
            let filter = call.filter.as_ref().map(|filter| evaluate_filter(filter, batch)).transpose()?;
            columns.extend(accumulator.convert_to_state(&arguments, filter.as_ref())?);
        }
        columns.push(Arc::new(Int64Array::from(vec![1; batch.num_rows()])));
        Ok(columns)
    }

    /// Aggregates rows into groups that the caller has numbered (sessions); only for layouts without keys.
    pub fn update_numbered(&mut self, groups: &[usize], n_groups: usize, batch: &RecordBatch) -> Result<()> {
        self.rows.resize(n_groups, 0);
        for &group in groups {
            self.rows[group] += 1;
        }
        let layout = Arc::clone(&self.layout);
        for (call, accumulator) in layout.calls.iter().zip(&mut self.accumulators) {
            let arguments = call.arguments(batch)?;
            let filter = call.filter.as_ref().map(|filter| evaluate_filter(filter, batch)).transpose()?;
            accumulator.update_batch(&arguments, groups, filter.as_ref(), n_groups)?;
        }
        Ok(())
    }

    /// Merges partials: `keys` of the group, then `states…, __rows` in the layout's order.
    pub fn merge(&mut self, keys: &[ArrayRef], states: &[ArrayRef]) -> Result<()> {
        let n_rows = states.last().map_or(0, |rows| rows.len());
        if n_rows == 0 {
            return Ok(());
        }
        self.intern(keys, n_rows)?;
        let indices = std::mem::take(&mut self.indices);
        let merged = self.merge_states(&indices, states);
        self.indices = indices;
        merged
    }

    /// Merges partials into groups that the caller has numbered (sessions); only for layouts without keys.
    pub fn merge_numbered(&mut self, groups: &[usize], n_groups: usize, states: &[ArrayRef]) -> Result<()> {
        self.rows.resize(n_groups, 0);
        self.merge_states(groups, states)
    }

    fn merge_states(&mut self, groups: &[usize], states: &[ArrayRef]) -> Result<()> {
        let (counts, mut states) =
            states.split_last().ok_or_else(|| Error::internal("partials without a row count"))?;
        for (&group, count) in groups.iter().zip(counts.as_primitive::<Int64Type>().values()) {
            self.rows[group] += count;
        }
        let widths = &self.layout.state_widths;
        for (accumulator, &width) in self.accumulators.iter_mut().zip(widths) {
            let (own, rest) = states.split_at(width);
            accumulator.merge_batch(own, groups, self.rows.len())?;
            states = rest;
        }
        Ok(())
    }

    /// Numbers the groups of rows without aggregating them.
    pub fn number(mut self, keys: &[ArrayRef]) -> Result<Vec<usize>> {
        let n_rows = keys.first().map_or(0, |key| key.len());
        self.intern(keys, n_rows)?;
        Ok(self.indices)
    }

    /// Gives everything up as partials: `keys…, states…, __rows`.
    pub fn emit_states(&mut self) -> Result<Vec<ArrayRef>> {
        let mut columns = self.emit_keys()?;
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.state(self.rows.len())?);
        }
        columns.push(Arc::new(Int64Array::from(std::mem::take(&mut self.rows))));
        Ok(columns)
    }

    /// Gives everything up as values: `keys…, values…`.
    pub fn emit_values(&mut self) -> Result<Vec<ArrayRef>> {
        let mut columns = self.emit_keys()?;
        for accumulator in &mut self.accumulators {
            columns.extend(accumulator.evaluate(self.rows.len())?);
        }
        self.rows.clear();
        Ok(columns)
    }

    fn emit_keys(&mut self) -> Result<Vec<ArrayRef>> {
        match &mut self.groups {
            Some(groups) => {
                let n_groups = groups.len();
                let keys = groups.emit(EmitTo::All)?;
                // Emitting gives the values away but keeps the hash table of the multi-column implementation. The next flush
                // will need about as many groups.
                groups.clear_shrink(n_groups);
                Ok(keys)
            }
            None => Ok(Vec::new()),
        }
    }
}

fn evaluate_filter(filter: &Arc<dyn PhysicalExpr>, batch: &RecordBatch) -> Result<BooleanArray> {
    let array = filter.evaluate(batch)?.into_array(batch.num_rows())?;
    Ok(array.as_boolean().clone())
}
