use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{EntryKey, EntryState, OutboxEntry};

use super::Outbox;
use super::item::{self, SHARDS, WITHOUT_BODY, key_of, keys, shard};
use crate::item::{Item, Reader, key, number, text};
use crate::{Cursor, CursorError, Page, StoreError};

/// The index of what is to be sent and what was given up, by time. It is sparse: what is done with is not in it.
pub(crate) const DUE_INDEX: &str = "due";

/// What it knows of an entry beside its keys, so that counting reads no entry.
pub(crate) const DUE_INCLUDES: [&str; 2] = ["state", "due-since"];

/// So many keys are read at once.
pub(super) const PAGE: i32 = 100;

/// What entries are listed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxGroup {
    /// To be sent: due, held, or scheduled, now or later.
    Due,
    /// Given up for now.
    Parked,
}

/// A place in a list of entries. Read a caller's cursor by it: `Cursor::of::<OutboxPlace>(text)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxPlace {
    shard: u8,
    at_ms: i64,
    key: EntryKey,
}

/// Some of what is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuePage {
    /// The most urgent first.
    pub keys: Vec<EntryKey>,
    /// Where to go on; `None` = these were the last.
    pub next: Option<OutboxPlace>,
}

/// What the index says of an entry.
pub(super) struct Row {
    place: OutboxPlace,
    pub(super) state: EntryState,
    /// Since when it should have been sent, epoch milliseconds.
    pub(super) since_ms: i64,
}

impl OutboxGroup {
    pub(super) const ALL: [OutboxGroup; 2] = [OutboxGroup::Due, OutboxGroup::Parked];

    /// The group of entries in `state`; `None` = nothing is left to do for them.
    pub(super) fn of(state: EntryState) -> Option<OutboxGroup> {
        match state {
            EntryState::Due | EntryState::Held | EntryState::Scheduled => Some(OutboxGroup::Due),
            EntryState::Parked => Some(OutboxGroup::Parked),
            EntryState::Published | EntryState::Discarded => None,
        }
    }

    /// The partition of the index in which entries of this partition of the table stand.
    pub(super) fn of_pk(self, pk: &str) -> String {
        self.of_shard(shard(pk))
    }

    fn of_shard(self, shard: u8) -> String {
        match self {
            OutboxGroup::Due => format!("due#{shard}"),
            OutboxGroup::Parked => format!("parked#{shard}"),
        }
    }
}

impl Outbox {
    /// Entries of one shard (`0..Outbox::SHARDS`) that are due, held or scheduled and whose time has come, the most urgent
    /// first, behind `after`, the `next` of the page before. The index lags a little: [`Outbox::lease`] says what is true.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn due_keys(&self, shard: u8, after: Option<OutboxPlace>) -> Result<DuePage, StoreError> {
        let until_ms = Some(self.now_ms());
        let (rows, next) = self.rows(OutboxGroup::Due, shard, until_ms, after.as_ref(), PAGE).await?;
        Ok(DuePage { keys: rows.into_iter().map(Row::key).collect(), next })
    }

    /// Up to `limit` entries (at least one is asked for) of `group` behind `cursor`, **with empty bodies**:
    /// [`Outbox::entry`] reads an entry whole. Shard by shard; within a page, the first in time comes first.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn list(
        &self,
        group: OutboxGroup,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<OutboxEntry>, StoreError> {
        let limit = limit.max(1);
        let mut after = cursor.and_then(OutboxPlace::of);
        let mut places: Vec<OutboxPlace> = Vec::new();
        for shard in after.map_or(0, |place| place.shard)..SHARDS {
            loop {
                let (rows, last) = self.rows(group, shard, None, after.as_ref(), PAGE).await?;
                places.extend(rows.iter().map(|row| row.place));
                after = last;
                if after.is_none() || places.len() > limit {
                    break;
                }
            }
            if places.len() > limit {
                break;
            }
        }
        let is_last = places.len() <= limit;
        places.truncate(limit);
        let last = places.last().filter(|_| !is_last);
        let next = last.map(|place| Cursor(place.to_string()));
        places.sort_by_key(|place| place.at_ms);
        let wanted = places.iter().map(|place| keys(&place.key)).map(|(pk, sk)| key(&pk, &sk)).collect();
        let mut found = HashMap::new();
        for item in self.table.get_all("list outbox entries", wanted, Some(&WITHOUT_BODY)).await? {
            let entry = item::read(&item)?.entry;
            found.insert(entry.key, entry);
        }
        // What was sent or given up since the index saw it is of this group no more.
        let items = places.iter().filter_map(|place| found.remove(&place.key));
        Ok(Page { items: items.filter(|entry| OutboxGroup::of(entry.state) == Some(group)).collect(), next })
    }

    /// Up to `limit` rows of the index behind `after`, by their times, none later than `until_ms`; and where to go on.
    pub(super) async fn rows(
        &self,
        group: OutboxGroup,
        shard: u8,
        until_ms: Option<i64>,
        after: Option<&OutboxPlace>,
        limit: i32,
    ) -> Result<(Vec<Row>, Option<OutboxPlace>), StoreError> {
        let condition = match until_ms {
            Some(_) => "#due = :due AND #at <= :until",
            None => "#due = :due",
        };
        let call = self.table.client.query().table_name(&self.table.name).index_name(DUE_INDEX);
        let answer = call
            .key_condition_expression(condition)
            .set_expression_attribute_names(Some(names(until_ms.is_some())))
            .set_expression_attribute_values(Some(values(group.of_shard(shard), until_ms)))
            .set_exclusive_start_key(after.map(|place| place.start(group)))
            .limit(limit)
            .send()
            .await
            .map_err(|error| StoreError::from_call("read what is due in the outbox", error))?;
        let items = answer.items.unwrap_or_default();
        let rows = items.iter().map(|item| Row::read(shard, item)).collect::<Result<_, _>>()?;
        let last = answer.last_evaluated_key.as_ref().map(|last| OutboxPlace::read(shard, last));
        Ok((rows, last.transpose()?))
    }
}

fn names(with_time: bool) -> HashMap<String, String> {
    let time = with_time.then(|| ("#at".to_owned(), "next-attempt-at".to_owned()));
    std::iter::once(("#due".to_owned(), "due".to_owned())).chain(time).collect()
}

fn values(due: String, until_ms: Option<i64>) -> HashMap<String, AttributeValue> {
    let until = until_ms.map(|until| (":until".to_owned(), number(until)));
    std::iter::once((":due".to_owned(), text(due))).chain(until).collect()
}

impl Row {
    pub(super) fn key(self) -> EntryKey {
        self.place.key
    }

    fn read(shard: u8, item: &Item) -> Result<Row, StoreError> {
        let reader = Reader(item);
        let state = EntryState::of_word(reader.text("state")?);
        Ok(Row {
            place: OutboxPlace::read(shard, item)?,
            state: state.ok_or_else(|| reader.fault("state", "is a word we do not know"))?,
            since_ms: reader.number("due-since")?,
        })
    }
}

impl OutboxPlace {
    fn read(shard: u8, item: &Item) -> Result<OutboxPlace, StoreError> {
        Ok(OutboxPlace { shard, at_ms: Reader(item).number("next-attempt-at")?, key: key_of(item)? })
    }

    /// The place that `cursor` says. It came from us: [`Cursor::of`] lets no other one in.
    fn of(cursor: &Cursor) -> Option<OutboxPlace> {
        cursor.0.parse().ok()
    }

    /// The key behind which the index goes on.
    fn start(&self, group: OutboxGroup) -> Item {
        let (pk, sk) = keys(&self.key);
        let mut start = key(&pk, &sk);
        start.insert("due".to_owned(), text(group.of_shard(self.shard)));
        start.insert("next-attempt-at".to_owned(), number(self.at_ms));
        start
    }
}

impl fmt::Display for OutboxPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.shard, self.at_ms, self.key)
    }
}

impl FromStr for OutboxPlace {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<OutboxPlace, CursorError> {
        let read = || {
            let mut parts = text.splitn(3, '.');
            let (shard, at_ms, key) = (parts.next()?, parts.next()?, parts.next()?);
            let key: EntryKey = key.parse().ok()?;
            let place = OutboxPlace { shard: shard.parse().ok()?, at_ms: at_ms.parse().ok()?, key };
            // One place has one spelling, and a key lies in its own shard.
            let is_right = place.to_string() == text && place.shard == self::shard(&keys(&key).0);
            is_right.then_some(place)
        };
        read().ok_or(CursorError)
    }
}
