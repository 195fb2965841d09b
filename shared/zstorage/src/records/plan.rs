//! Which way a query goes: chosen from the table's design and what is asked, without looking at a record.

mod facts;
mod range;

use domain::{ApiName, Condition, Field, FieldId, Index, IndexState, MAX_INDEX_FIELDS, Table, Values};

use facts::Facts;
pub(crate) use range::KeyRange;

/// Which way an order goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) table: &'a Table,
    /// What the store can do of each part of the filter; all parts must hold.
    pub(crate) conditions: &'a [Option<&'a Condition>],
    pub(crate) searching: bool,
    pub(crate) sort: &'a [(FieldId, Direction)],
    /// Instead of `sort`: in the order of their making.
    pub(crate) by_age: Option<Direction>,
    pub(crate) allow_scan: bool,
    /// Of the cursor, if one was given: what was begun in one order ends in it.
    pub(crate) follow: Option<Tag>,
}

/// Tells one way from another within a table, for cursors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(pub(crate) u32);

/// A way to the records.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan<'a> {
    pub(crate) way: Way<'a>,
    /// The parts of the filter (by their places) that the way answers.
    pub(crate) answered: Vec<usize>,
    /// Fields whose absence keeps a record out of the answer though no part of the filter says so: those it is sorted by.
    pub(crate) leaves_out: Vec<FieldId>,
}

/// How records are come by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Way<'a> {
    /// By the guard of a unique index whose values are all given: at most one record.
    Guard { index: &'a Index, values: Values },
    /// A range of an index, in its order.
    Index { index: &'a Index, range: KeyRange, descending: bool },
    /// The whole table by age.
    Listing { descending: bool },
    /// The whole table, or a range of an index that has another order, sorted in memory.
    Sorted { by: Vec<(FieldId, Direction)>, of: Option<(&'a Index, KeyRange)> },
}

/// Why there is no way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoWay {
    /// No index fits, and no scan is allowed: one over these fields would do. None where no index could help.
    NoIndex(Vec<ApiName>),
    /// The order that a cursor stands in is there no more.
    Gone,
}

const LISTING: Tag = Tag(0);
const SORTED: Tag = Tag(1);

impl Way<'_> {
    pub(crate) fn tag(&self) -> Tag {
        match self {
            Way::Listing { .. } => LISTING,
            Way::Sorted { .. } => SORTED,
            Way::Index { index, .. } => Tag(index.id.0 + 2),
            // It has one page, so no cursor leads to it.
            Way::Guard { .. } => Tag(u32::MAX),
        }
    }
}

/// Chooses the way that reads the least, as far as the design tells: a guard, then the index with the most fields given,
/// then one with a range; the whole table only when nothing is asked of it, for a search, or where a scan is allowed.
pub(crate) fn plan<'a>(ask: &Ask<'a>) -> Result<Plan<'a>, NoWay> {
    let facts = Facts::of(ask.conditions);
    let sort = effective_sort(ask.sort, &facts);
    let mut ways: Vec<(usize, Plan<'a>)> = Vec::new();
    for index in ready(ask.table) {
        ways.extend(guard(index, &facts).map(|plan| (usize::MAX, plan)));
        ways.extend(by_index(ask, index, &facts, &sort));
    }
    // The first of equals: a cursor of one page must find the same way on the next.
    ways.sort_by_key(|(worth, _)| std::cmp::Reverse(*worth));
    let nothing_asked = ask.conditions.is_empty() && sort.is_empty();
    if nothing_asked || may_read_through(ask) {
        let plan = if sort.is_empty() { listing(ask) } else { in_memory(ask, &facts, sort) };
        ways.push((0, plan));
    }
    let mut ways = ways.into_iter().map(|(_, plan)| plan);
    match ask.follow {
        None => ways.next().ok_or_else(|| NoWay::NoIndex(suggestion(ask))),
        Some(tag) => ways.find(|plan| plan.way.tag() == tag).ok_or(NoWay::Gone),
    }
}

/// Whether records may be read one after the other to see which of them are asked for. Whoever has a cursor of such a reading
/// was allowed it.
fn may_read_through(ask: &Ask<'_>) -> bool {
    ask.searching || ask.allow_scan || ask.follow.is_some()
}

/// What is left of an order once the fields are taken out that are equal in all records found.
fn effective_sort(sort: &[(FieldId, Direction)], facts: &Facts<'_>) -> Vec<(FieldId, Direction)> {
    let mut left: Vec<(FieldId, Direction)> = Vec::new();
    for (field, direction) in sort {
        if facts.equal(*field).is_none() && left.iter().all(|(other, _)| other != field) {
            left.push((*field, *direction));
        }
    }
    left
}

fn guard<'a>(index: &'a Index, facts: &Facts<'_>) -> Option<Plan<'a>> {
    let equals = index.fields.iter().map(|field| Some((*field, facts.equal(*field)?)));
    let equals: Vec<_> = equals.collect::<Option<_>>().filter(|_| index.unique)?;
    let answered = equals.iter().flat_map(|(_, equal)| equal.parts()).collect();
    let values = equals.iter().map(|(field, equal)| (*field, equal.value().clone())).collect();
    Some(Plan { way: Way::Guard { index, values }, answered, leaves_out: Vec::new() })
}

/// The way by `index` and how much it narrows, if it serves: its first fields are given or ranged over, then it has the order
/// that is asked for, and no record can be missing from it that the answer must hold.
fn by_index<'a>(
    ask: &Ask<'_>,
    index: &'a Index,
    facts: &Facts<'_>,
    sort: &[(FieldId, Direction)],
) -> Option<(usize, Plan<'a>)> {
    index.slot?;
    let given: Vec<_> = index.fields.iter().map_while(|field| facts.equal(*field)).collect();
    let rest = &index.fields[given.len()..];
    let sorted = rest.len() >= sort.len() && rest.iter().zip(sort).all(|(field, (by, _))| field == by);
    let one_way = sort.windows(2).all(|pair| pair[0].1 == pair[1].1);
    // A record that lacks any of its fields is not in an index.
    let complete = rest.iter().all(|field| facts.present(*field) || sort.iter().any(|(by, _)| by == field));
    let bounds = rest.first().and_then(|field| facts.bounds(*field));
    // Where all its values are given, what is left of its order is that of the ULIDs.
    let by_age = ask.by_age.is_none() || rest.is_empty();
    let narrows = !given.is_empty() || bounds.is_some();
    let orders = !sort.is_empty() && (ask.conditions.is_empty() || may_read_through(ask));
    if !sorted || !one_way || !complete || !by_age || !(narrows || orders) {
        return None;
    }
    let mut answered: Vec<usize> = given.iter().flat_map(|equal| equal.parts()).collect();
    answered.extend(bounds.iter().flat_map(|bounds| bounds.parts()));
    let worth = given.len() * 4 + usize::from(bounds.is_some()) * 2 + 1;
    let range = KeyRange::of(given.iter().map(|equal| equal.value()), bounds);
    let descending =
        sort.first().map(|(_, direction)| *direction).or(ask.by_age) == Some(Direction::Descending);
    let leaves_out = left_out(ask.table, facts, sort);
    Some((worth, Plan { way: Way::Index { index, range, descending }, answered, leaves_out }))
}

fn listing<'a>(ask: &Ask<'a>) -> Plan<'a> {
    let descending = ask.by_age == Some(Direction::Descending);
    Plan { way: Way::Listing { descending }, answered: Vec::new(), leaves_out: Vec::new() }
}

fn in_memory<'a>(ask: &Ask<'a>, facts: &Facts<'_>, by: Vec<(FieldId, Direction)>) -> Plan<'a> {
    let leaves_out = left_out(ask.table, facts, &by);
    let narrowed = ready(ask.table).filter_map(|index| by_index(ask, index, facts, &[]));
    let (of, answered) = match narrowed.max_by_key(|(worth, _)| *worth) {
        Some((_, Plan { way: Way::Index { index, range, .. }, answered, .. })) => {
            (Some((index, range)), answered)
        }
        _ => (None, Vec::new()),
    };
    Plan { way: Way::Sorted { by, of }, answered, leaves_out }
}

fn ready(table: &Table) -> impl Iterator<Item = &Index> {
    table.indexes.iter().filter(|index| index.state == IndexState::Ready)
}

/// Sorted with and without an index, the same records are found: those that lack what they are sorted by are not.
fn left_out(table: &Table, facts: &Facts<'_>, sort: &[(FieldId, Direction)]) -> Vec<FieldId> {
    let fields = sort.iter().map(|(field, _)| *field).filter(|field| !facts.present(*field));
    fields.filter(|field| table.field_by_id(*field).is_some()).collect()
}

/// The fields of an index that would serve: what is given, then the order, else one range. None where no index could.
pub(crate) fn suggestion(ask: &Ask<'_>) -> Vec<ApiName> {
    let (table, facts) = (ask.table, Facts::of(ask.conditions));
    let sort = effective_sort(ask.sort, &facts);
    let all = || table.fields.iter().map(|field| field.id);
    let mut fields: Vec<FieldId> = all().filter(|field| facts.equal(*field).is_some()).collect();
    let one_way = sort.windows(2).all(|pair| pair[0].1 == pair[1].1);
    match sort.first() {
        None if ask.by_age.is_none() => fields.extend(all().find(|field| facts.bounds(*field).is_some())),
        None => {}
        Some((first, _)) => {
            let narrows = !fields.is_empty() || facts.bounds(*first).is_some() || ask.conditions.is_empty();
            if !narrows || !one_way {
                return Vec::new();
            }
            fields.extend(sort.iter().map(|(field, _)| *field));
        }
    }
    let named: Vec<&Field> = fields.iter().filter_map(|field| table.field_by_id(*field)).collect();
    let possible = named.len() <= MAX_INDEX_FIELDS && named.iter().all(|field| field.is_indexable());
    // Of what is given the first will do; an order must be whole.
    let kept = if possible {
        named.len()
    } else if sort.is_empty() {
        MAX_INDEX_FIELDS
    } else {
        0
    };
    named
        .into_iter()
        .filter(|field| field.is_indexable())
        .take(kept)
        .map(|field| field.api_name.clone())
        .collect()
}

#[cfg(test)]
mod tests;
