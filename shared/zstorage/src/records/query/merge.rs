use std::cmp::Ordering;
use std::collections::VecDeque;

/// A place in the order that the buckets of a table are merged in: the key that they are sorted by, which ends with the
/// record's ULID, and then the bucket, so that no two records share a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) key: Vec<u8>,
    pub(crate) bucket: u8,
}

/// What was read of one bucket and not yet given out.
#[derive(Debug)]
struct Lane<T> {
    waiting: VecDeque<(Place, T)>,
    read_to: ReadTo,
}

/// How far a bucket has been read, whatever of it matched.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ReadTo {
    /// Not at all.
    Nothing,
    /// Up to and with this place.
    Place(Place),
    /// To its end.
    End,
}

/// Merges what is read of several buckets, page by page, into one order.
///
/// What may be given out next is known from how far each bucket was read, not from what was found there: so a query whose
/// filter lets little through can stop anywhere, say how far it came, and go on from there without losing a record.
#[derive(Debug)]
pub(super) struct Merge<T> {
    lanes: Vec<Lane<T>>,
    descending: bool,
}

impl<T> Merge<T> {
    /// Of `lanes` buckets that are each read in this direction.
    pub(super) fn new(lanes: usize, descending: bool) -> Merge<T> {
        let lanes = (0..lanes).map(|_| Lane { waiting: VecDeque::new(), read_to: ReadTo::Nothing }).collect();
        Merge { lanes, descending }
    }

    /// Takes in what was found in a bucket, in order, and how far it was read; `None` = to its end.
    pub(super) fn add(&mut self, lane: usize, found: Vec<(Place, T)>, read_to: Option<Place>) {
        let lane = &mut self.lanes[lane];
        lane.waiting.extend(found);
        lane.read_to = read_to.map_or(ReadTo::End, ReadTo::Place);
    }

    /// The buckets to read on in: those with nothing left to give that are not at their end.
    pub(super) fn hungry(&self) -> Vec<usize> {
        let hungry = |lane: &Lane<T>| lane.waiting.is_empty() && lane.read_to != ReadTo::End;
        (0..self.lanes.len()).filter(|at| hungry(&self.lanes[*at])).collect()
    }

    /// The next in order, if no bucket can still hold one before it.
    pub(super) fn pop(&mut self) -> Option<(Place, T)> {
        let heads =
            self.lanes.iter().enumerate().filter_map(|(at, lane)| Some((at, &lane.waiting.front()?.0)));
        let (at, first) = heads.min_by(|(_, a), (_, b)| self.order(a, b))?;
        let safe = match self.read_to() {
            ReadTo::End => true,
            ReadTo::Nothing => false,
            ReadTo::Place(place) => self.order(first, place) != Ordering::Greater,
        };
        safe.then(|| self.lanes[at].waiting.pop_front()).flatten()
    }

    /// Whether everything was read and given out.
    pub(super) fn is_done(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty() && lane.read_to == ReadTo::End)
    }

    /// Up to which place every bucket has been read: what matched before it has been given out or is waiting.
    pub(super) fn reached(&self) -> Option<Place> {
        match self.read_to() {
            ReadTo::Place(place) => Some(place.clone()),
            ReadTo::Nothing | ReadTo::End => None,
        }
    }

    /// How far the bucket that was read the least was read.
    fn read_to<'m>(&'m self) -> &'m ReadTo {
        let lesser = |a: &'m ReadTo, b: &'m ReadTo| match (a, b) {
            (ReadTo::Nothing, _) | (_, ReadTo::End) => a,
            (_, ReadTo::Nothing) | (ReadTo::End, _) => b,
            (ReadTo::Place(one), ReadTo::Place(other)) if self.order(one, other) == Ordering::Greater => b,
            _ => a,
        };
        self.lanes.iter().map(|lane| &lane.read_to).reduce(lesser).unwrap_or(&ReadTo::End)
    }

    fn order(&self, a: &Place, b: &Place) -> Ordering {
        if self.descending { b.cmp(a) } else { a.cmp(b) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(key: u8, bucket: usize) -> Place {
        Place { key: vec![key], bucket: u8::try_from(bucket).expect("few buckets") }
    }

    proptest! {
        /// Buckets are read in chunks of a few, some of what is read does not match, and every now and then the reader
        /// stops and begins anew behind the place it came to.
        #[test]
        fn each_that_matches_comes_exactly_once_and_in_order_however_often_one_stops(
            buckets in prop::collection::vec(prop::collection::btree_map(any::<u8>(), any::<bool>(), 0..30), 1..5),
            chunk in 1_usize..6, page in 1_usize..7, budget in 1_usize..12, descending: bool,
        ) {
            let order = |places: &mut Vec<Place>| {
                places.sort();
                if descending { places.reverse() }
            };
            let lanes = || buckets.iter().enumerate();
            let mut expect: Vec<Place> =
                lanes().flat_map(|(at, keys)| keys.iter().filter(|k| *k.1).map(move |k| place(*k.0, at))).collect();
            order(&mut expect);
            let (mut found, mut after) = (Vec::new(), None::<Place>);
            for _ in 0..1000 {
                let mut merge = Merge::new(buckets.len(), descending);
                let mut left: Vec<VecDeque<(Place, bool)>> = Vec::new();
                for (at, keys) in lanes() {
                    let mut places: Vec<Place> = keys.keys().map(|k| place(*k, at)).collect();
                    order(&mut places);
                    let behind = |p: &Place| after.as_ref().is_none_or(|a| if descending { p < a } else { p > a });
                    left.push(places.into_iter().filter(behind).map(|p| { let m = keys[&p.key[0]]; (p, m) }).collect());
                }
                let (mut taken, mut rounds) = (0, 0);
                let next = loop {
                    while taken < page && let Some((place, ())) = merge.pop() {
                        found.push(place);
                        taken += 1;
                    }
                    if merge.is_done() { break None }
                    if taken == page { break found.last().cloned() }
                    if rounds == budget { break merge.reached() }
                    rounds += 1;
                    for lane in merge.hungry() {
                        let read: Vec<_> = (0..chunk).filter_map(|_| left[lane].pop_front()).collect();
                        let to = if left[lane].is_empty() { None } else { read.last().map(|r| r.0.clone()) };
                        merge.add(lane, read.into_iter().filter(|r| r.1).map(|r| (r.0, ())).collect(), to);
                    }
                };
                match next {
                    None => { prop_assert_eq!(&found, &expect); return Ok(()) }
                    next => {
                        prop_assert_ne!(&next, &after, "no progress");
                        after = next;
                    }
                }
            }
            prop_assert!(false, "it never ended");
        }
    }
}
