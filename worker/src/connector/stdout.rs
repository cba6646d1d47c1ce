//! `stdout`: rows on the standard output, a commit at a time.

use std::io::{ErrorKind, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use davy_engine::connector::{Share, Table, TableRequest};
use davy_engine::format::json::JsonOptions;
use davy_engine::format::{Encoder, Format};
use davy_engine::log::{Sink, Source};
use davy_engine::options::Options;
use davy_engine::{Error, Result};

use super::Role;
use super::file::check_types;

pub(super) fn table(request: &TableRequest<'_>, options: &mut Options) -> Result<Arc<dyn Table>> {
    Role::Sink.take_only(request, options)?;
    let format = match request.format {
        Some(Format::Arrow | Format::Parquet) => {
            return Err(Error::invalid(format!(
                "table `{}`: the standard output takes lines, not files",
                request.name
            ))
            .hint("use `format = 'json'` or 'csv'"));
        }
        Some(format) => format.clone(),
        None => Format::Json(JsonOptions::default()),
    };
    Ok(Arc::new(Stdout { format }))
}

/// The table of the standard output.
#[derive(Debug)]
struct Stdout {
    format: Format,
}

impl Table for Stdout {
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
        true
    }

    fn source(&self, _schema: &SchemaRef, _share: Share) -> Result<Box<dyn Source>> {
        Err(Error::internal("connector `stdout` cannot be read"))
    }

    fn check_sink(&self, schema: &SchemaRef) -> Result<()> {
        check_types(&self.format, schema)
    }

    fn sink(&self, schema: &SchemaRef) -> Result<Box<dyn Sink>> {
        Ok(Box::new(LineSink { encoder: self.format.encoder(schema)?, staged: Vec::new(), output: std::io::stdout() }))
    }
}

/// Writes staged lines to a stream.
struct LineSink<W> {
    encoder: Box<dyn Encoder>,
    staged: Vec<RecordBatch>,
    output: W,
}

impl<W: Write + Send> Sink for LineSink<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.staged.push(batch.clone());
        Ok(())
    }

    /// Writes the commit with one call, so that the stream's own lock keeps it in one piece.
    fn commit(&mut self) -> Result<()> {
        let mut lines = Vec::new();
        for batch in self.staged.drain(..) {
            self.encoder.encode(&batch, &mut lines)?;
        }
        let written = self.output.write_all(&lines).and_then(|()| self.output.flush());
        written.map_err(|error| match error.kind() {
            // The reader has seen enough (`| head`): not a failure, but nothing more can be done either.
            ErrorKind::BrokenPipe => Error::OutputClosed("the standard output was closed by its reader".into()),
            _ => Error::Unavailable(format!("cannot write to the standard output: {error}")),
        })
    }

    fn abort(&mut self) -> Result<()> {
        self.staged.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    /// Takes bytes, or fails as a pipe without a reader.
    struct Pipe<'a>(Option<&'a mut Vec<u8>>);

    impl Write for Pipe<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.as_mut().map_or(Err(ErrorKind::BrokenPipe.into()), |taken| taken.write(bytes))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink<'a>(output: Pipe<'a>, batch: &RecordBatch) -> LineSink<Pipe<'a>> {
        let encoder = Format::Json(JsonOptions::default()).encoder(batch.schema_ref()).expect("an encoder");
        LineSink { encoder, staged: Vec::new(), output }
    }

    fn row() -> RecordBatch {
        RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).expect("a column")
    }

    #[test]
    fn a_reader_that_went_away_ends_the_run_quietly() {
        let mut sink = sink(Pipe(None), &row());
        sink.write(&row()).expect("staged");
        assert!(matches!(sink.commit(), Err(Error::OutputClosed(_))));
    }

    #[test]
    fn only_committed_rows_are_written() {
        let mut taken = Vec::new();
        let mut sink = sink(Pipe(Some(&mut taken)), &row());
        sink.write(&row()).expect("staged");
        sink.abort().expect("aborted");
        sink.write(&row()).expect("staged");
        sink.commit().expect("committed");
        drop(sink);
        assert_eq!(String::from_utf8_lossy(&taken), "{\"n\":1}\n");
    }
}
