//! Wakes waiting polls: one bell per queue, rung after each commit that may have made a message receivable.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::Notify;

/// The bells of all queues somebody has waited at.
#[derive(Default)]
pub(super) struct Bells(Mutex<HashMap<String, Arc<Notify>>>);

impl Bells {
    /// The bell of one queue.
    pub(super) fn of(&self, queue: &str) -> Arc<Notify> {
        let mut bells = self.lock();
        match bells.get(queue) {
            Some(bell) => Arc::clone(bell),
            None => Arc::clone(bells.entry(queue.to_owned()).or_default()),
        }
    }

    /// Rings at these queues.
    pub(super) fn ring(&self, queues: &[String]) {
        let bells = self.lock();
        for bell in queues.iter().filter_map(|queue| bells.get(queue)) {
            bell.notify_waiters();
        }
    }

    /// Rings at every queue.
    pub(super) fn ring_all(&self) {
        self.lock().values().for_each(|bell| bell.notify_waiters());
    }

    /// Takes a bell down that nobody else holds: asking for queues that do not exist must not fill the memory.
    pub(super) fn forget(&self, queue: &str) {
        let mut bells = self.lock();
        if bells.get(queue).is_some_and(|bell| Arc::strong_count(bell) == 1) {
            bells.remove(queue);
        }
    }

    /// How many polls hold the bell of this queue.
    #[cfg(test)]
    pub(super) fn waiting_at(&self, queue: &str) -> usize {
        self.lock().get(queue).map_or(0, |bell| Arc::strong_count(bell) - 1)
    }

    /// How many bells hang.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
