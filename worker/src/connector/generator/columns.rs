//! Flows as columns: only those that a query uses.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, RecordBatchOptions, StringBuilder,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use davy_engine::Result;

use super::flow::Flow;
use super::world::World;
use crate::connector::project::Projection;

/// Capacity to reserve for an address; most are shorter.
const ADDRESS_BYTES: usize = 14;

type MakeColumn = fn(&[Flow], &World) -> ArrayRef;

const TIME: DataType = DataType::Timestamp(TimeUnit::Nanosecond, None);

const COLUMNS: [(&str, DataType, MakeColumn); 14] = [
    ("ts", TIME, |flows, _| Arc::new(TimestampNanosecondArray::from_iter_values(flows.iter().map(Flow::ts_ns)))),
    ("te", TIME, |flows, _| Arc::new(TimestampNanosecondArray::from_iter_values(flows.iter().map(|flow| flow.te_ns)))),
    ("td", DataType::Float64, |flows, _| {
        Arc::new(Float64Array::from_iter_values(flows.iter().map(|flow| f64::from(flow.td_ms) / 1000.0)))
    }),
    ("sa", DataType::Utf8, |flows, world| text(flows, ADDRESS_BYTES, |flow| world.address(flow.sa))),
    ("da", DataType::Utf8, |flows, world| text(flows, ADDRESS_BYTES, |flow| world.address(flow.da))),
    ("sp", DataType::Int32, |flows, _| Arc::new(Int32Array::from_iter_values(flows.iter().map(|flow| flow.sp.into())))),
    ("dp", DataType::Int32, |flows, _| Arc::new(Int32Array::from_iter_values(flows.iter().map(|flow| flow.dp.into())))),
    ("pr", DataType::Utf8, |flows, _| text(flows, 3, |flow| flow.protocol.name())),
    ("flg", DataType::Utf8, |flows, _| text(flows, 8, |flow| flow.flags.symbols())),
    ("ipkt", DataType::Int64, |flows, _| count(flows, |flow| flow.ipkt)),
    ("ibyt", DataType::Int64, |flows, _| count(flows, |flow| flow.ibyt)),
    ("opkt", DataType::Int64, |flows, _| count(flows, |flow| flow.opkt)),
    ("obyt", DataType::Int64, |flows, _| count(flows, |flow| flow.obyt)),
    ("label", DataType::Utf8, |flows, _| text(flows, 4, |flow| flow.label.name())),
];

fn text<'a>(flows: &[Flow], n_bytes_each: usize, value: impl Fn(&Flow) -> &'a str) -> ArrayRef {
    let mut column = StringBuilder::with_capacity(flows.len(), flows.len() * n_bytes_each);
    for flow in flows {
        column.append_value(value(flow));
    }
    Arc::new(column.finish())
}

fn count(flows: &[Flow], value: impl Fn(&Flow) -> u64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(flows.iter().map(|flow| value(flow) as i64)))
}

/// The columns a table has when it declares none.
pub(super) fn fields() -> Vec<FieldRef> {
    COLUMNS.into_iter().map(|(name, data_type, _)| Arc::new(Field::new(name, data_type, false))).collect()
}

/// Makes batches of the requested columns.
pub(super) struct Columns {
    /// Those that are made, as they are made.
    made: SchemaRef,
    makers: Vec<MakeColumn>,
    projection: Projection,
}

impl Columns {
    pub(super) fn new(origin: String, requested: &SchemaRef) -> Result<Self> {
        let projection = Projection::new(origin, &Schema::new(fields()), requested.clone())?;
        let is_requested = |name: &str| requested.field_with_name(name).is_ok();
        let chosen = || COLUMNS.into_iter().filter(|(name, ..)| is_requested(name));
        let made: Vec<Field> = chosen().map(|(name, data_type, _)| Field::new(name, data_type, false)).collect();
        let makers = chosen().map(|(_, _, maker)| maker).collect();
        Ok(Self { made: Arc::new(Schema::new(made)), makers, projection })
    }

    pub(super) fn batch(&self, flows: &[Flow], world: &World) -> Result<RecordBatch> {
        let columns = self.makers.iter().map(|make| make(flows, world)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(flows.len()));
        self.projection.apply(&RecordBatch::try_new_with_options(self.made.clone(), columns, &options)?)
    }
}
