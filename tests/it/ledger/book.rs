//! The books: what must arrive, what arrived, and what the two say of each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One message that a write must have made: on which queue, of which record, at which version.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Due {
    pub queue: String,
    pub record: String,
    pub version: u64,
}

/// A message that a worker has handled and answered for.
#[derive(Debug, Clone)]
pub struct Handled {
    pub due: Due,
    pub message_id: String,
}

/// Both sides.
#[derive(Debug, Default)]
pub struct Book {
    expected: BTreeSet<Due>,
    /// In the order of the answers.
    handled: Vec<Handled>,
}

/// What is wrong, if anything; and how often a message was handled more than once, which is allowed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Expected and never handled.
    pub lost: Vec<Due>,
    /// Handled, and no write made it.
    pub unexpected: Vec<Due>,
    /// Handled under more than one message id.
    pub renamed: Vec<Due>,
    /// On an ordered queue: handled for the first time after a later version of the same record.
    pub overtaken: Vec<Due>,
    /// Handled again under the same id.
    pub repeats: usize,
}

impl Book {
    pub fn expect(&mut self, due: Due) {
        self.expected.insert(due);
    }

    pub fn handle(&mut self, handled: Handled) {
        self.handled.push(handled);
    }

    /// How many of what is expected were handled.
    pub fn settled(&self) -> usize {
        let handled: BTreeSet<&Due> = self.handled.iter().map(|handled| &handled.due).collect();
        self.expected.iter().filter(|due| handled.contains(due)).count()
    }

    pub fn expected(&self) -> usize {
        self.expected.len()
    }

    /// Holds the two sides against each other. Queues whose name ends in `.fifo` keep order.
    pub fn judge(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let mut ids: BTreeMap<&Due, BTreeSet<&str>> = BTreeMap::new();
        let mut latest: HashMap<(&str, &str), u64> = HashMap::new();
        for Handled { due, message_id } in &self.handled {
            let known = ids.entry(due).or_default();
            if !known.is_empty() {
                verdict.repeats += 1;
            } else if due.queue.ends_with(".fifo") {
                let latest = latest.entry((&due.queue, &due.record)).or_default();
                if *latest > due.version {
                    verdict.overtaken.push(due.clone());
                }
                *latest = due.version.max(*latest);
            }
            known.insert(message_id);
        }
        verdict.lost = self.expected.iter().filter(|due| !ids.contains_key(due)).cloned().collect();
        verdict.unexpected =
            ids.keys().filter(|due| !self.expected.contains(**due)).map(|due| (*due).clone()).collect();
        verdict.renamed =
            ids.iter().filter(|(_, ids)| ids.len() > 1).map(|(due, _)| (*due).clone()).collect();
        verdict
    }
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        let Verdict { lost, unexpected, renamed, overtaken, repeats: _ } = self;
        [lost, unexpected, renamed, overtaken].into_iter().all(Vec::is_empty)
    }
}

#[test]
fn the_books_name_what_is_lost_unexpected_renamed_and_overtaken() {
    let due = |queue: &str, version| Due { queue: queue.to_owned(), record: "A".to_owned(), version };
    let check = |expected: &[Due], handled: &[(Due, &str)], expect: Verdict| {
        let mut book = Book::default();
        expected.iter().for_each(|due| book.expect(due.clone()));
        for (due, id) in handled {
            book.handle(Handled { due: due.clone(), message_id: (*id).to_owned() });
        }
        let clean = expect == Verdict { repeats: expect.repeats, ..Verdict::default() };
        assert_eq!((book.judge(), book.judge().is_clean()), (expect, clean));
    };
    let (one, two) = (due("q.fifo", 1), due("q.fifo", 2));
    let both = [one.clone(), two.clone()];
    check(&both, &[(one.clone(), "a"), (two.clone(), "b")], Verdict::default());
    check(
        &both,
        &[(one.clone(), "a"), (one.clone(), "a"), (two.clone(), "b"), (one.clone(), "a")],
        Verdict { repeats: 2, ..Verdict::default() },
    );
    check(&both, &[(one.clone(), "a")], Verdict { lost: vec![two.clone()], ..Verdict::default() });
    check(
        std::slice::from_ref(&one),
        &[(one.clone(), "a"), (two.clone(), "b")],
        Verdict { unexpected: vec![two.clone()], ..Verdict::default() },
    );
    check(
        std::slice::from_ref(&one),
        &[(one.clone(), "a"), (one.clone(), "b")],
        Verdict { renamed: vec![one.clone()], repeats: 1, ..Verdict::default() },
    );
    check(
        &both,
        &[(two.clone(), "b"), (one.clone(), "a")],
        Verdict { overtaken: vec![one], ..Verdict::default() },
    );
    let (one, two) = (due("q", 1), due("q", 2));
    check(&[one.clone(), two.clone()], &[(two, "b"), (one, "a")], Verdict::default());
}
