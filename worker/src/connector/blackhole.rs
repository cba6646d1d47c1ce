//! `blackhole`: discards rows, for benches.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::log::{Sink, Source};
use davy_engine::options::Options;
use davy_engine::{Error, Result};
use tracing::info;

use super::Role;

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    Role::Sink.take_only(request, options)?;
    Ok(Arc::new(Blackhole { name: request.name.to_owned() }))
}

#[derive(Debug)]
struct Blackhole {
    name: String,
}

impl Table for Blackhole {
    fn is_source(&self) -> bool {
        false
    }

    fn is_sink(&self) -> bool {
        true
    }

    fn is_bounded(&self) -> bool {
        true
    }

    fn reads_bytes(&self) -> bool {
        false
    }

    fn source(&self, _schema: &SchemaRef, _share: Share) -> Result<Box<dyn Source>> {
        Err(Error::internal("connector `blackhole` cannot be read"))
    }

    fn sink(&self, _schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Counter { table: self.name.clone(), n_rows_staged: 0, n_rows: 0 }))
    }
}

/// Counts the committed rows and logs the count at the end.
struct Counter {
    table: String,
    n_rows_staged: u64,
    n_rows: u64,
}

impl Sink for Counter {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.n_rows_staged += batch.num_rows() as u64;
        Ok(())
    }

    fn commit(&mut self) -> Result<()> {
        self.n_rows += std::mem::take(&mut self.n_rows_staged);
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.n_rows_staged = 0;
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        info!(table = self.table, rows = self.n_rows, "blackhole took rows");
        Ok(())
    }
}
