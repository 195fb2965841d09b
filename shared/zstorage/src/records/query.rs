//! Questions to a table: which records, in which order, page by page, and what the answer cost.
//!
//! Whatever way is taken, a record is looked at again before it is given out: the store may hand over too many, never too few.

mod counted;
mod guarded;
pub(super) mod merge;
mod paged;
mod push;
mod reading;
mod sorted;
mod source;

use domain::{ApiName, Condition, Conjunct, Field, FieldId, Filter, Record, fold};

use super::cursor::{self, Position};
use super::plan::{self, Ask, Direction, NoWay, Plan, Way};
use super::{OpenTable, Records};
use crate::StoreError;
use reading::{Reading, Spent};

/// The most records of one page.
pub const MAX_LIMIT: usize = 200;

/// The longest text to search for, bytes.
pub const MAX_SEARCH_BYTES: usize = 256;

/// Items that one page reads at most, unless said otherwise; one of more than 8 KB counts as several.
pub const MAX_ITEMS_READ: usize = 10_000;

/// Items that are read at most to count; one of more than 8 KB counts as several.
pub const MAX_ITEMS_COUNTED: usize = 100_000;

/// What is asked of a table's records.
#[derive(Debug, Clone)]
pub struct Query {
    /// Which records.
    pub filter: Option<Filter>,
    /// Only records in whose texts each of these words is found, whatever the case and the accents.
    pub search: Option<String>,
    /// In which order; records that lack one of these fields are not found.
    pub sort: Vec<(FieldId, Direction)>,
    /// Where no field is sorted by: in the order of their making. `None` = in whichever is cheapest, which is by age where
    /// no index is used.
    pub by_age: Option<Direction>,
    /// So many records at most, 1 to 200. A page may have fewer and still a next one.
    pub limit: usize,
    /// Of the page before.
    pub cursor: Option<String>,
    /// Whether the table may be read through if no index fits.
    pub allow_scan: bool,
    /// Whether to count all records that are found, those of other pages too.
    pub count: bool,
    /// Whether what was written a moment ago must be seen, at twice the price. An index never shows it for sure.
    pub consistent: bool,
    /// So many items are read for a page at most, or a few more: what is found by then is the page. One of more than 8 KB
    /// counts as several.
    pub max_items_read: usize,
}

impl Default for Query {
    fn default() -> Query {
        Query {
            filter: None,
            search: None,
            sort: Vec::new(),
            by_age: None,
            limit: 50,
            cursor: None,
            allow_scan: false,
            count: false,
            consistent: false,
            max_items_read: MAX_ITEMS_READ,
        }
    }
}

/// One page of what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// In the order that was asked for. Equal ones stand by age; so do texts that are alike in their first 1,000 bytes.
    pub records: Vec<Record>,
    /// Of the next page; `None` on the last one. A record that is not written meanwhile is on exactly one page.
    pub cursor: Option<String>,
    /// How it was done and what it cost.
    pub explain: Explain,
    /// How many records are found on all pages; `None` when nobody asked, or when 100,000 items were read and that was not
    /// all.
    pub count: Option<u64>,
}

/// How a question was answered, and its price.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explain {
    /// `guard` (one record by a unique value), `index`, `listing` (all records, by age), `scan` (all, looked at one by one),
    /// `sorted-scan` (all, or a range of an index, sorted in memory), `nothing` (the filter is never true).
    pub plan: String,
    /// The fields of the index or the unique value that was used.
    pub index: Option<Vec<ApiName>>,
    /// Items that DynamoDB read, found or not, counting included.
    pub items_read: u64,
    /// Read capacity units consumed.
    pub read_units: f64,
    /// Calls of DynamoDB.
    pub calls: u64,
    /// The parts of the filter that chose where to read.
    pub by_key: Vec<String>,
    /// The parts of the filter, and the words searched for, that DynamoDB looked at in what it read.
    pub pushed: Vec<String>,
    /// Those that only we could look at.
    pub in_memory: Vec<String>,
    /// Fields that a record must have to be found at all, because it is sorted by them.
    pub leaves_out_without: Vec<ApiName>,
    /// Whether what was written a moment ago may be missing.
    pub eventually_consistent: bool,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// No index fits, and the table may not be read through or is too large to be sorted.
    #[error("no index of the table fits this question")]
    NoIndex {
        /// The fields of one that would fit, in order; none where no index helps.
        suggest: Vec<ApiName>,
    },
    /// Not a cursor, or one of another question.
    #[error("this cursor belongs to no page of this question: ask again without it")]
    BadCursor,
    /// There is no order by it: JSON or encrypted text.
    #[error("records cannot be sorted by {field}")]
    Unsortable {
        /// The field.
        field: ApiName,
    },
    /// Too long a text to search for.
    #[error("a search has at most {MAX_SEARCH_BYTES} bytes")]
    LongSearch,
    /// The store could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A page before its cursor is written.
struct Leaf {
    records: Vec<Record>,
    next: Option<merge::Place>,
}

impl Records {
    /// The records that `query` asks for, a page of them.
    ///
    /// # Errors
    /// [`QueryError`].
    pub async fn query(&self, open: &OpenTable, query: &Query) -> Result<Found, QueryError> {
        let table = open.schema.table();
        check(open, query)?;
        let parts = query.filter.iter().flat_map(Filter::conjuncts);
        let conjuncts: Vec<&Conjunct> = parts.filter(|part| part.pushed != Some(Condition::True)).collect();
        if conjuncts.iter().any(|part| part.pushed == Some(Condition::False)) {
            return Ok(nothing(query));
        }
        let conditions: Vec<Option<&Condition>> = conjuncts.iter().map(|part| part.pushed.as_ref()).collect();
        let words = words(query.search.as_deref());
        let mut ask = Ask {
            table,
            conditions: &conditions,
            searching: !words.is_empty(),
            sort: &query.sort,
            by_age: query.by_age.filter(|_| query.sort.is_empty()),
            allow_scan: query.allow_scan,
            follow: None,
        };
        let filter_text = query.filter.as_ref().map_or("", Filter::text);
        let binding = cursor::binding(&ask, filter_text, query.search.as_deref());
        let after = query
            .cursor
            .as_deref()
            .map(|text| cursor::read(&open.keys, &binding, text).ok_or(QueryError::BadCursor));
        let after = after.transpose()?;
        ask.follow = after.as_ref().map(|position| position.tag);
        let plan = plan::plan(&ask).map_err(|no_way| match no_way {
            NoWay::NoIndex(suggest) => QueryError::NoIndex { suggest },
            NoWay::Gone => QueryError::BadCursor,
        })?;
        let suggest = || QueryError::NoIndex { suggest: plan::suggestion(&ask) };
        let after = after.map(|position| position.place);
        let reading = Reading::new(self, open, query, &plan, &conjuncts, &words);
        let mut spent = Spent::default();
        let leaf = match &plan.way {
            Way::Guard { index, values } => reading.guarded(index, values, &mut spent).await?,
            Way::Sorted { by, .. } => {
                reading.sorted(by, after.as_ref(), &mut spent).await?.ok_or_else(suggest)?
            }
            Way::Index { .. } | Way::Listing { .. } => reading.paged(after.as_ref(), &mut spent).await?,
        };
        let count = match query.count {
            false => None,
            // All there is stands on this page.
            true if query.cursor.is_none() && leaf.next.is_none() => Some(leaf.records.len() as u64),
            true => reading.counted(&conjuncts, &words, &mut spent).await?,
        };
        let sign = |place| cursor::write(&open.keys, &binding, &Position { tag: plan.way.tag(), place });
        let explain = explain(open, &plan, &reading, &conjuncts, spent);
        Ok(Found { records: leaf.records, cursor: leaf.next.map(sign), explain, count })
    }
}

fn check(open: &OpenTable, query: &Query) -> Result<(), QueryError> {
    if query.search.as_ref().is_some_and(|search| search.len() > MAX_SEARCH_BYTES) {
        return Err(QueryError::LongSearch);
    }
    let fields = query.sort.iter().filter_map(|(field, _)| open.schema.table().field_by_id(*field));
    match fields.into_iter().find(|field| !field.is_indexable()) {
        Some(field) => Err(QueryError::Unsortable { field: field.api_name.clone() }),
        None => Ok(()),
    }
}

/// What is searched for: each word as it stands in a record's folded text.
fn words(search: Option<&str>) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in fold(search.unwrap_or_default()).split_whitespace() {
        if words.iter().all(|other| other != word) {
            words.push(word.to_owned());
        }
    }
    words
}

fn nothing(query: &Query) -> Found {
    let explain = Explain { plan: "nothing".into(), ..Explain::default() };
    Found { records: Vec::new(), cursor: None, explain, count: query.count.then_some(0) }
}

fn explain(
    open: &OpenTable,
    plan: &Plan<'_>,
    reading: &Reading<'_>,
    conjuncts: &[&Conjunct],
    spent: Spent,
) -> Explain {
    let table = open.schema.table();
    let names = |fields: &[FieldId]| -> Vec<ApiName> {
        fields
            .iter()
            .filter_map(|id| table.field_by_id(*id))
            .map(|field: &Field| field.api_name.clone())
            .collect()
    };
    let all_there_is = conjuncts.is_empty() && reading.words_are_none();
    let (word, index) = match &plan.way {
        Way::Guard { index, .. } => ("guard", Some(names(&index.fields))),
        Way::Index { index, .. } => ("index", Some(names(&index.fields))),
        Way::Listing { .. } if all_there_is => ("listing", None),
        Way::Listing { .. } => ("scan", None),
        Way::Sorted { of, .. } => ("sorted-scan", of.as_ref().map(|(index, _)| names(&index.fields))),
    };
    let by_key = plan.answered.iter().map(|part| conjuncts[*part].expression.text().to_owned());
    Explain {
        plan: word.to_owned(),
        index,
        items_read: spent.items,
        read_units: spent.units,
        calls: spent.calls,
        by_key: by_key.collect(),
        pushed: reading.pushed_parts.clone(),
        in_memory: reading.other_parts.clone(),
        leaves_out_without: names(&plan.leaves_out),
        eventually_consistent: !matches!(plan.way, Way::Guard { .. }) && !reading.is_consistent(),
    }
}
