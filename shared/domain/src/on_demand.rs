use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

type Make<T> = Box<dyn FnOnce() -> T + Send>;

/// Something that is dear to make and not always needed: made when it is first asked for, then shared by all clones.
///
/// A function starts with what every invocation needs; a client that only some of them call waits here.
pub struct OnDemand<T>(Arc<LazyLock<T, Make<T>>>);

impl<T> OnDemand<T> {
    /// What `make` will make, once.
    pub fn new(make: impl FnOnce() -> T + Send + 'static) -> OnDemand<T> {
        OnDemand(Arc::new(LazyLock::new(Box::new(make))))
    }
}

/// Makes it, if it never was.
impl<T> Deref for OnDemand<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> Clone for OnDemand<T> {
    fn clone(&self) -> OnDemand<T> {
        OnDemand(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> From<T> for OnDemand<T> {
    fn from(made: T) -> OnDemand<T> {
        OnDemand::new(|| made)
    }
}

impl<T> fmt::Debug for OnDemand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnDemand")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn it_is_made_once_and_not_before_it_is_asked_for() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let first = OnDemand::new(move || count.fetch_add(1, Ordering::Relaxed));
        let second = first.clone();
        assert_eq!(made.load(Ordering::Relaxed), 0);
        assert_eq!((*second, *first, *second), (0, 0, 0));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }
}
