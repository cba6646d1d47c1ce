//! The placeholder of a table's decoded rows, as DataFusion's planner sees it: a [`PlaceholderTable`] that remembers its table.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DataFusionError;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{Expr, TableScan, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::operator::bounded::PlaceholderTable;
use crate::plan::TableDef;

#[derive(Debug)]
pub(super) struct SourcePlaceholder {
    pub def: Arc<TableDef>,
    /// The slot that its rows are put into.
    pub placeholder: PlaceholderTable,
}

#[async_trait]
impl TableProvider for SourcePlaceholder {
    fn schema(&self) -> SchemaRef {
        self.placeholder.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>, DataFusionError> {
        self.placeholder.scan(state, projection, filters, limit).await
    }
}

/// The table behind a scan, if it is one of a placeholder of decoded rows.
pub(super) fn table_of(scan: &TableScan) -> Option<Arc<TableDef>> {
    let provider = source_as_provider(&scan.source).ok()?;
    let placeholder = (provider.as_ref() as &dyn std::any::Any).downcast_ref::<SourcePlaceholder>()?;
    Some(Arc::clone(&placeholder.def))
}
