use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::event::Record;

/// A record that was brought before may have failed, and may have its letter: that must be read before it runs again. Kafka does not
/// say so.
const MAY_HAVE_COME_BEFORE: u32 = 2;

/// How far this process has seen each partition. What lies beyond is new, so that nothing needs to be read for it; all else may
/// have come before: what this process was given, and the first batch of a partition, for it may be taking the place of a process
/// that died over it.
///
/// What another process was given last, and failed over without dying, is taken for new. That costs a run more, at the worst
/// beside an open letter, and loses nothing.
#[derive(Debug, Default)]
pub(crate) struct Seen(Mutex<HashMap<String, i64>>);

impl Seen {
    /// Says of each record that may have come before that it did, and remembers all of them.
    pub(crate) fn mark_repetitions(&self, records: &mut [Record]) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in records.iter_mut() {
            let seen = record.id.as_ref().and_then(|id| Some((id.offset, *last.get(&id.partition)?)));
            let is_new = seen.is_some_and(|(offset, last)| offset > last);
            if let (Ok(received), false) = (&mut record.message, is_new) {
                received.receive_count = MAY_HAVE_COME_BEFORE;
            }
        }
        for id in records.iter().filter_map(|record| record.id.as_ref()) {
            let last = last.entry(id.partition.clone()).or_insert(id.offset);
            *last = id.offset.max(*last);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use serde_json::json;

    use super::*;
    use crate::event::records;

    #[test]
    fn beyond_what_was_seen_of_its_partition_a_record_is_new() {
        let seen = Seen::default();
        let check = |partition: &str, offsets: &[Option<i64>], expect: &[u32]| {
            let list: Vec<_> = offsets.iter().map(|offset| json!({ "offset": offset })).collect();
            let mut records = records(json!({ "records": { partition: list } })).unwrap();
            seen.mark_repetitions(&mut records);
            let counts: Vec<u32> =
                records.iter().map(|record| record.message.as_ref().unwrap().receive_count).collect();
            assert_eq!(counts, expect, "{partition} {offsets:?}");
        };
        check("orders-0", &[Some(5), Some(6)], &[2, 2]);
        check("orders-0", &[Some(7), Some(9)], &[1, 1]);
        check("orders-1", &[Some(10)], &[2]);
        check("orders-0", &[Some(9), Some(8), Some(10)], &[2, 2, 1]);
        check("orders-0", &[None, Some(11)], &[2, 1]);
        check("orders-0", &[Some(0)], &[2]);
        check("orders-0", &[Some(12)], &[1]);
    }
}
