//! The ranges of many groups at once. A split's name is stored once, and a group has one entry per split that its rows are from.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, ListBuilder, StringBuilder};
use arrow::datatypes::Int64Type;
use datafusion::common::{Result as DfResult, exec_datafusion_err, exec_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::range::OffsetRange;

/// Offsets of a split, both included.
#[derive(Clone, Copy, Debug)]
struct Entry {
    split: u32,
    first: i64,
    last: i64,
}

#[derive(Debug, Default)]
pub(super) struct Groups {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
    /// The split of the last row: most rows of a batch are from one.
    last: Option<(Arc<str>, u32)>,
    groups: Vec<Vec<Entry>>,
    /// Of all entries.
    entry_bytes: usize,
    name_bytes: usize,
}

impl Groups {
    /// Makes room for so many groups.
    pub(super) fn reserve(&mut self, n_groups: usize) {
        if self.groups.len() < n_groups {
            self.groups.resize_with(n_groups, Vec::new);
        }
    }

    fn number(&mut self, split: &str) -> u32 {
        if let Some((name, number)) = &self.last
            && **name == *split
        {
            return *number;
        }
        let known = self.numbers.get_key_value(split).map(|(name, number)| (Arc::clone(name), *number));
        let (name, number) = known.unwrap_or_else(|| {
            let name: Arc<str> = split.into();
            let number = self.names.len() as u32;
            self.names.push(Arc::clone(&name));
            self.numbers.insert(Arc::clone(&name), number);
            // The name, its reference counts, and an entry in each of the two collections.
            self.name_bytes += split.len() + size_of::<usize>() * 2 + size_of::<(Arc<str>, u32)>() * 2;
            (name, number)
        });
        self.last = Some((name, number));
        number
    }

    fn add(&mut self, group: usize, added: Entry) {
        let entries = &mut self.groups[group];
        match entries.iter_mut().find(|entry| entry.split == added.split) {
            Some(entry) => {
                entry.first = entry.first.min(added.first);
                entry.last = entry.last.max(added.last);
            }
            None => {
                let before = entries.capacity();
                entries.reserve_exact(1);
                entries.push(added);
                self.entry_bytes += (entries.capacity() - before) * size_of::<Entry>();
            }
        }
    }

    /// The ranges of the first groups, which are forgotten.
    pub(super) fn take(&mut self, emit: EmitTo) -> DfResult<ListArray> {
        let taken = emit.take_needed(&mut self.groups);
        let mut lists = ListBuilder::new(StringBuilder::new());
        for entries in taken {
            self.entry_bytes = self.entry_bytes.saturating_sub(entries.capacity() * size_of::<Entry>());
            let mut ranges: Vec<OffsetRange> = entries.iter().map(|entry| self.range(*entry)).collect();
            ranges.sort_unstable();
            ranges.iter().for_each(|range| lists.values().append_value(range.to_string()));
            lists.append(!ranges.is_empty());
        }
        Ok(lists.finish())
    }

    fn range(&self, Entry { split, first, last }: Entry) -> OffsetRange {
        OffsetRange { split: self.names[split as usize].to_string(), first, last }
    }
}

/// Whether a row counts by a FILTER.
fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        n_groups: usize,
    ) -> DfResult<()> {
        self.reserve(n_groups);
        let (splits, offsets) = (values[0].as_string::<i32>(), values[1].as_primitive::<Int64Type>());
        for (row, group) in group_indices.iter().enumerate() {
            if splits.is_null(row) || offsets.is_null(row) || !passes(filter, row) {
                continue;
            }
            let offset = offsets.value(row);
            if offset < 0 {
                return exec_err!("offset_ranges: {offset} is no offset");
            }
            let split = self.number(splits.value(row));
            self.add(*group, Entry { split, first: offset, last: offset });
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], n_groups: usize) -> DfResult<()> {
        self.reserve(n_groups);
        let lists = states[0].as_list::<i32>();
        for (row, group) in group_indices.iter().enumerate() {
            if lists.is_null(row) {
                continue;
            }
            let ranges = lists.value(row);
            for text in ranges.as_string::<i32>().iter().flatten() {
                let range = OffsetRange::parse(text)
                    .ok_or_else(|| exec_datafusion_err!("`{text}` in stored state is no range of offsets"))?;
                let split = self.number(&range.split);
                self.add(*group, Entry { split, first: range.first, last: range.last });
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> DfResult<ArrayRef> {
        Ok(Arc::new(self.take(emit)?))
    }

    fn state(&mut self, emit: EmitTo) -> DfResult<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> DfResult<Vec<ArrayRef>> {
        let n_rows = values[0].len();
        let mut alone = Self::default();
        alone.update_batch(values, &(0..n_rows).collect::<Vec<_>>(), filter, n_rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Vec<Entry>>() + self.entry_bytes + self.name_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use arrow::array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    /// A row: its group, its split, its offset, whether a FILTER lets it through.
    type Row = (usize, Option<u8>, Option<i64>, bool);

    const N_GROUPS: usize = 4;

    fn rows() -> impl Strategy<Value = Vec<Vec<Row>>> {
        let row = (0..N_GROUPS, proptest::option::weighted(0.9, 0..3_u8), proptest::option::weighted(0.9, 0..50_i64));
        let row = (row, any::<bool>()).prop_map(|((group, split, offset), passes)| (group, split, offset, passes));
        proptest::collection::vec(proptest::collection::vec(row, 0..20), 1..5)
    }

    fn name(split: u8) -> String {
        format!("flows/{}", [0, 2, 10][usize::from(split)])
    }

    fn update(groups: &mut Groups, rows: &[Row]) {
        let splits = StringArray::from_iter(rows.iter().map(|(_, split, ..)| split.map(name)));
        let offsets = Int64Array::from_iter(rows.iter().map(|(_, _, offset, _)| *offset));
        let filter = BooleanArray::from_iter(rows.iter().map(|(.., passes)| Some(*passes)));
        let indices: Vec<usize> = rows.iter().map(|(group, ..)| *group).collect();
        let values: [ArrayRef; 2] = [Arc::new(splits), Arc::new(offsets)];
        groups.update_batch(&values, &indices, Some(&filter), N_GROUPS).expect("updated");
    }

    fn texts(lists: &ListArray) -> Vec<Option<Vec<String>>> {
        let list = |texts: ArrayRef| texts.as_string::<i32>().iter().flatten().map(str::to_owned).collect();
        lists.iter().map(|texts| texts.map(list)).collect()
    }

    proptest! {
        /// Over several tasks and a merge of their states, as if one had seen all rows and kept all offsets.
        #[test]
        fn ranges_are_those_of_all_rows_however_they_are_spread(tasks in rows()) {
            let mut merged = Groups::default();
            for task in &tasks {
                let mut partial = Groups::default();
                let (first, rest) = task.split_at(task.len() / 2);
                update(&mut partial, first);
                update(&mut partial, rest);
                partial.reserve(N_GROUPS);
                let state = partial.state(EmitTo::All).expect("a state");
                merged.merge_batch(&state, &(0..N_GROUPS).collect::<Vec<_>>(), N_GROUPS).expect("merged");
                prop_assert_eq!(partial.entry_bytes, 0);
            }
            let mut offsets: Vec<BTreeMap<String, Vec<i64>>> = vec![BTreeMap::new(); N_GROUPS];
            for (group, split, offset, passes) in tasks.iter().flatten() {
                if let (Some(split), Some(offset), true) = (split, offset, passes) {
                    offsets[*group].entry(name(*split)).or_default().push(*offset);
                }
            }
            let range = |(name, offsets): (&String, &Vec<i64>)| {
                format!("{name}@{}-{}", offsets.iter().min().expect("one"), offsets.iter().max().expect("one"))
            };
            let expected: Vec<Option<Vec<String>>> = offsets
                .iter()
                .map(|group| (!group.is_empty()).then(|| group.iter().map(range).collect()))
                .collect();
            let first = merged.take(EmitTo::First(1)).expect("taken");
            let others = merged.take(EmitTo::All).expect("taken");
            prop_assert_eq!([texts(&first), texts(&others)].concat(), expected);
        }
    }

    #[test]
    fn what_is_no_offset_and_what_is_no_state_is_refused() {
        let mut groups = Groups::default();
        let values: [ArrayRef; 2] = [Arc::new(StringArray::from(vec!["a/0"])), Arc::new(Int64Array::from(vec![-1]))];
        let error = groups.update_batch(&values, &[0], None, 1).expect_err("refused").to_string();
        assert!(error.contains("-1 is no offset"), "{error}");
        let mut state = ListBuilder::new(StringBuilder::new());
        state.values().append_value("a/0@2");
        state.append(true);
        let state: ArrayRef = Arc::new(state.finish());
        let error = groups.merge_batch(&[state], &[0], 1).expect_err("refused").to_string();
        assert!(error.contains("`a/0@2`"), "{error}");
    }
}
