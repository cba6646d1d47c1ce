//! `dead_letter_topic` and `late_topic`: sink tables that a source table brings along, beside its own topic.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};

use crate::error::{Error, Result};
use crate::format::Format;
use crate::format::raw::RawOptions;
use crate::options::Options;
use crate::plan::{BadRecordPolicy, Column, ColumnSource, TableDef};

/// Takes both options; gives the tables that they make, and lets `def` write to them.
pub(super) fn side_topics(def: &mut TableDef, options: &mut Options) -> Result<Vec<TableDef>> {
    let mut made = Vec::new();
    if let Some(topic) = options.take("dead_letter_topic") {
        if def.bad_record != BadRecordPolicy::Drop {
            return Err(Error::invalid(format!(
                "table `{}`: `dead_letter_topic` beside another rule for bad records",
                def.name
            ))
            .hint("leave out `dead_letter_table` and `bad_record`"));
        }
        let raw = Format::RawString(RawOptions::from_options(&mut Options::new(&*def.name))?);
        let value: FieldRef = Arc::new(Field::new("value", DataType::Binary, true));
        let side = Side { option: "dead_letter_topic", topic: &topic, format: raw, columns: &[value] }.table(def)?;
        def.bad_record = BadRecordPolicy::DeadLetter(Arc::clone(&side.name));
        made.push(side);
    }
    if let Some(topic) = options.take("late_topic") {
        if def.late_table.is_some() {
            return Err(Error::invalid(format!("table `{}` has `late_table` and `late_topic`", def.name))
                .hint("keep one of them"));
        }
        let format = def.format.clone().ok_or_else(|| Error::internal("a topic without a format"))?;
        let columns: Vec<FieldRef> = def
            .columns
            .iter()
            .filter(|column| matches!(column.from, ColumnSource::Record(_)))
            .map(|column| Arc::clone(&column.field))
            .collect();
        let side = Side { option: "late_topic", topic: &topic, format, columns: &columns }.table(def)?;
        def.late_table = Some(Arc::clone(&side.name));
        made.push(side);
    }
    Ok(made)
}

struct Side<'a> {
    option: &'static str,
    topic: &'a str,
    format: Format,
    columns: &'a [FieldRef],
}

impl Side<'_> {
    fn table(self, of: &TableDef) -> Result<TableDef> {
        let Self { option, topic, format, columns } = self;
        let table = of.table.side_topic(topic, &format)?.ok_or_else(|| {
            let table = option.replace("topic", "table");
            Error::invalid(format!("table `{}`: `{option}` is for connector `kafka`", of.name))
                .hint(format!("name a sink table with `{table}`"))
        })?;
        let column =
            |(index, field): (usize, &FieldRef)| Column { field: Arc::clone(field), from: ColumnSource::Record(index) };
        Ok(TableDef {
            columns: columns.iter().enumerate().map(column).collect(),
            data: of.data,
            format: Some(format),
            ..TableDef::bare(&format!("__{}_{option}", of.name), table)
        })
    }
}
