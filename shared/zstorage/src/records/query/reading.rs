use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, Select};
use domain::{Condition, Conjunct, FieldId, Filter, Index, Record, RecordId};

use super::Query;
use super::merge::Place;
use super::push::Pushed;
use super::source::Source;
use crate::StoreError;
use crate::item::Item;
use crate::records::item::record_of;
use crate::records::plan::{KeyRange, Plan, Way};
use crate::records::{OpenTable, Records};

/// What the store was made to do.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spent {
    pub(super) calls: u64,
    pub(super) items: u64,
    pub(super) units: f64,
}

/// One question on its way to its records: where it reads, what it looks for there.
pub(super) struct Reading<'a> {
    pub(super) records: &'a Records,
    pub(super) open: &'a OpenTable,
    pub(super) query: &'a Query,
    pub(super) source: Source<'a>,
    index: Option<&'a Index>,
    range: KeyRange,
    pub(super) descending: bool,
    pub(super) buckets: Vec<char>,
    must_have: Vec<FieldId>,
    pushed: Pushed,
    /// What is searched for. The store looks into the text that was written with a record, in which fields still are that
    /// the table has no more: so what it finds is looked at again.
    words: Vec<String>,
    pub(super) pushed_parts: Vec<String>,
    pub(super) other_parts: Vec<String>,
}

/// What to read of one bucket.
pub(super) struct Chunk<'a> {
    pub(super) bucket: char,
    /// Of a page that came before.
    pub(super) after: Option<&'a Place>,
    /// Where the last chunk ended.
    pub(super) from: Option<Item>,
    pub(super) limit: usize,
}

/// What was read of one bucket.
pub(super) struct Read {
    pub(super) items: Vec<Item>,
    /// How many items passed the store's filter.
    pub(super) passed: u64,
    /// Where to read on; `None` at the bucket's end.
    pub(super) last: Option<Item>,
    pub(super) spent: Spent,
}

impl Spent {
    pub(super) fn add(&mut self, other: Spent) {
        self.calls += other.calls;
        self.items += other.items;
        self.units += other.units;
    }

    /// How much was read, in items. A large one weighs as much as its bytes cost, a unit for each 8 KB: else a page of large
    /// records that a filter lets none of through would be gigabytes, and no answer ever in time.
    pub(super) fn weight(&self) -> usize {
        usize::try_from(self.items).unwrap_or(usize::MAX).max(self.units as usize)
    }
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        records: &'a Records,
        open: &'a OpenTable,
        query: &'a Query,
        plan: &Plan<'a>,
        conjuncts: &[&'a Conjunct],
        words: &[String],
    ) -> Reading<'a> {
        let table = open.schema.table();
        let (index, range, descending) = match &plan.way {
            Way::Index { index, range, descending } => (Some(*index), range.clone(), *descending),
            Way::Sorted { of: Some((index, range)), .. } => (Some(*index), range.clone(), false),
            Way::Listing { descending } => (None, KeyRange::ALL, *descending),
            Way::Guard { .. } | Way::Sorted { of: None, .. } => (None, KeyRange::ALL, false),
        };
        let mut reading = Reading {
            records,
            open,
            query,
            source: Source::of(table.prefix, index),
            index,
            range,
            descending,
            buckets: RecordId::buckets(table.buckets).collect(),
            // An index that is read in its own order holds none without.
            must_have: if matches!(plan.way, Way::Sorted { .. }) {
                plan.leaves_out.clone()
            } else {
                Vec::new()
            },
            pushed: Pushed::default(),
            words: Vec::new(),
            pushed_parts: Vec::new(),
            other_parts: Vec::new(),
        };
        let asked = conjuncts.iter().enumerate().filter(|(at, _)| !plan.answered.contains(at));
        reading.ask(asked.map(|(_, conjunct)| *conjunct), words);
        reading
    }

    /// The same question, with all that the store can look at in its hands: what it then counts need not be looked at again.
    /// `None` when there is more to it than the store can do.
    pub(super) fn left_to_the_store(
        &self,
        conjuncts: &[&'a Conjunct],
        words: &[String],
    ) -> Option<Reading<'a>> {
        let mut all = Reading {
            source: Source::of(self.open.schema.table().prefix, self.index),
            range: self.range.clone(),
            buckets: self.buckets.clone(),
            must_have: self.must_have.clone(),
            pushed: Pushed::default(),
            words: Vec::new(),
            pushed_parts: Vec::new(),
            other_parts: Vec::new(),
            ..*self
        };
        all.ask(conjuncts.iter().copied(), words);
        (all.other_parts.is_empty() && words.is_empty()).then_some(all)
    }

    fn ask(&mut self, conjuncts: impl Iterator<Item = &'a Conjunct>, words: &[String]) {
        for id in &self.must_have {
            let field = self.open.schema.table().field_by_id(*id);
            if !self.pushed.push(&Condition::Exists(*id)) {
                self.other_parts.extend(field.map(|field| format!("{} != null", field.api_name)));
            }
        }
        for conjunct in conjuncts {
            let pushed = conjunct.pushed.as_ref().is_some_and(|condition| self.pushed.push(condition));
            let parts = if pushed { &mut self.pushed_parts } else { &mut self.other_parts };
            parts.push(conjunct.expression.text().to_owned());
        }
        for word in words {
            let said = format!("search: {word}");
            let pushed = self.pushed.push_search(word);
            let parts = if pushed { &mut self.pushed_parts } else { &mut self.other_parts };
            parts.push(said);
        }
        self.words = words.to_vec();
    }

    /// How many more items may be read for this page.
    pub(super) fn left(&self, spent: &Spent) -> usize {
        self.query.max_items_read.max(1).saturating_sub(spent.weight())
    }

    /// Whether all that is read is found, as far as one can tell before.
    pub(super) fn finds_all_it_reads(&self) -> bool {
        self.pushed.text().is_none() && self.other_parts.is_empty()
    }

    pub(super) fn words_are_none(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn is_consistent(&self) -> bool {
        self.source.is_table() && self.query.consistent
    }

    /// The record that `item` holds, if the question is about it.
    pub(super) fn record(&self, item: &Item) -> Result<Option<Record>, StoreError> {
        let record = record_of(self.open, item)?;
        Ok(self.matches(&record).then_some(record))
    }

    /// Whether the question is about `record`. A filter that has no answer for it does not find it.
    pub(super) fn matches(&self, record: &Record) -> bool {
        let table = self.open.schema.table();
        let holds = |filter: &Filter| filter.holds(table, &record.values);
        let has_words = || {
            let folded = self.open.schema.folded(&record.values);
            self.words.iter().all(|word| folded.contains(word))
        };
        self.must_have.iter().all(|field| record.values.contains_key(field))
            && self.query.filter.as_ref().is_none_or(holds)
            && (self.words.is_empty() || has_words())
    }

    /// Reads a chunk of a bucket: what passed the store's filter in it. With `count_only`, not what but how many.
    pub(super) async fn read(&self, chunk: Chunk<'_>, count_only: bool) -> Result<Read, StoreError> {
        let operation = if count_only { "count records" } else { "query records" };
        let Some(range) = self.range(chunk.after) else {
            return Ok(Read { items: Vec::new(), passed: 0, last: None, spent: Spent::default() });
        };
        let (condition, keys) = self.source.keys(chunk.bucket, &range);
        let (pk, sk) = self.source.key_names();
        let mut call = self
            .records
            .table
            .client
            .query()
            .table_name(&self.records.table.name)
            .set_index_name(self.source.index_name().map(str::to_owned))
            .expression_attribute_names("#pk", pk)
            .key_condition_expression(condition)
            .set_filter_expression(self.pushed.text())
            .set_exclusive_start_key(chunk.from)
            .limit(i32::try_from(chunk.limit).unwrap_or(i32::MAX))
            .scan_index_forward(!self.descending)
            .consistent_read(self.is_consistent())
            .set_select(count_only.then_some(Select::Count))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if keys.len() > 1 {
            call = call.expression_attribute_names("#sk", sk);
        }
        for (name, attribute) in self.pushed.names() {
            call = call.expression_attribute_names(name, attribute);
        }
        for (placeholder, value) in keys {
            call = call.expression_attribute_values(placeholder, value);
        }
        for (placeholder, value) in &self.pushed.values {
            call = call.expression_attribute_values(placeholder, value.clone());
        }
        let answer = call.send().await.map_err(|error| StoreError::from_call(operation, error))?;
        let units = answer.consumed_capacity.and_then(|consumed| consumed.capacity_units).unwrap_or_default();
        let spent = Spent { calls: 1, items: u64::try_from(answer.scanned_count).unwrap_or_default(), units };
        let passed = u64::try_from(answer.count).unwrap_or_default();
        let last = answer.last_evaluated_key.filter(|last| !last.is_empty());
        Ok(Read { items: answer.items.unwrap_or_default(), passed, last, spent })
    }

    /// Which keys of a bucket a chunk reads; `None` when there are none.
    fn range(&self, after: Option<&Place>) -> Option<KeyRange> {
        let mut range = self.range.clone();
        if let Some(after) = after {
            // With the place itself, for in other buckets it may be any record's: whoever reads passes it by.
            if self.descending {
                range.to = Some(range.to.map_or(after.key.clone(), |to| to.min(after.key.clone())));
            } else {
                range.from = range.from.max(after.key.clone());
            }
        }
        (!range.is_empty()).then_some(range)
    }
}
