use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// No cache of ours holds more entries than this; a full one lets go of what is stale, and if that is nothing, of all.
const CAPACITY: usize = 10_000;

/// What was read a short while ago. Only what was found is held: a miss is always read.
///
/// Ages by the wall clock that the caller hands in: a Lambda process sleeps between requests, and a monotonic clock
/// may sleep with it.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    lives: SignedDuration,
    entries: Mutex<HashMap<K, (V, Timestamp)>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(crate) fn new(lives: SignedDuration) -> Cache<K, V> {
        Cache { lives, entries: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|(_, read_at)| self.is_fresh(*read_at, now)).map(|(value, _)| value.clone())
    }

    /// What is held of `key`, however old: for what can be used again where it turns out not to have changed.
    pub(crate) fn last(&self, key: &K) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).map(|(value, _)| value.clone())
    }

    /// Holds `value`, unless `keep` prefers what is there already: a slow reader must not put an old version over a new one.
    pub(crate) fn put(&self, key: K, value: V, now: Timestamp, keep: impl Fn(&V) -> bool) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.get(&key).is_some_and(|(held, read_at)| self.is_fresh(*read_at, now) && keep(held)) {
            return;
        }
        if entries.len() >= CAPACITY && !entries.contains_key(&key) {
            entries.retain(|_, (_, read_at)| self.is_fresh(*read_at, now));
            if entries.len() >= CAPACITY {
                entries.clear();
            }
        }
        entries.insert(key, (value, now));
    }

    pub(crate) fn remove(&self, key: &K) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// A clock that was set back makes everything stale, not everlasting.
    fn is_fresh(&self, read_at: Timestamp, now: Timestamp) -> bool {
        let age = now.duration_since(read_at);
        !age.is_negative() && age < self.lives
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_entry_lives_for_its_time_and_no_clock_makes_it_older_than_that() {
        let cache = Cache::new(SignedDuration::from_secs(10));
        cache.put("a", 1, at(100), |_| false);
        for (now, expect) in [(100, Some(1)), (109, Some(1)), (110, None), (99, None)] {
            assert_eq!(cache.get(&"a", at(now)), expect, "at {now}");
        }
        cache.remove(&"a");
        assert_eq!(cache.get(&"a", at(100)), None);
    }

    #[test]
    fn an_older_value_does_not_replace_a_newer_one_that_is_fresh() {
        let cache = Cache::new(SignedDuration::from_secs(10));
        cache.put("a", 2, at(100), |_| false);
        cache.put("a", 1, at(101), |held| *held > 1);
        assert_eq!(cache.get(&"a", at(101)), Some(2));
        cache.put("a", 1, at(110), |held| *held > 1);
        assert_eq!(cache.get(&"a", at(110)), Some(1));
    }

    #[test]
    fn a_full_cache_makes_room() {
        let cache = Cache::new(SignedDuration::from_secs(10));
        for key in 0..=CAPACITY {
            cache.put(key, (), at(0), |_| false);
        }
        assert_eq!(cache.get(&CAPACITY, at(0)), Some(()));
        assert!(cache.entries.lock().unwrap().len() <= CAPACITY);
    }
}
