//! Rows as messages: one line of text each.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use davy_engine::error::Result;
use davy_engine::log::transactions::{Message, RowEncoder};
use davy_engine::plan::SinkPlan;
use davy_engine::task::fit_to_sink;

/// Writes the rows of a table to a topic, cells parted by ` | `, nulls as `∅`.
#[derive(Clone, Debug)]
pub struct TextRows {
    topic: Arc<str>,
    sink: SinkPlan,
}

impl TextRows {
    pub fn new(topic: Arc<str>, sink: SinkPlan) -> Self {
        Self { topic, sink }
    }
}

impl RowEncoder for TextRows {
    fn encode(&mut self, batch: &RecordBatch, messages: &mut Vec<Message>) -> Result<()> {
        let batch = fit_to_sink(&self.sink, batch)?;
        let options = FormatOptions::default().with_null("∅");
        let columns = batch.columns().iter();
        let cells = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let cells = cells.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let line: Vec<String> = cells.iter().map(|cell| cell.value(row).to_string()).collect();
            let value = line.join(" | ").into_bytes();
            messages.push(Message { topic: Arc::clone(&self.topic), value, ..Message::default() });
        }
        Ok(())
    }
}
