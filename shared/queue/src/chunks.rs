use std::collections::HashMap;

use domain::BATCH_SIZE;

/// All bodies and attributes of one batch call together, bytes.
const MAX_CHUNK_BYTES: usize = 1024 * 1024;

/// What counts of a message when messages are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weight<'m> {
    /// Body and attributes, bytes.
    pub(crate) bytes: usize,
    /// The key within which order is kept; `None` where no order is promised.
    pub(crate) ordering_key: Option<&'m str>,
}

/// Puts messages (by their places in `weights`) into chunks, each one batch call: at most ten, at most 1 MiB.
///
/// The chunks are to be sent in this order. Without ordering keys they hold the messages in their own order. Of one
/// ordering key a chunk holds at most one message, and later ones stand in later chunks: entries of one call fail one by
/// one, and a failed one must not be overtaken. A message too heavy for any call stands alone; the engine will say so.
pub(crate) fn plan(weights: &[Weight<'_>]) -> Vec<Vec<usize>> {
    let mut chunks: Vec<(Vec<usize>, usize)> = Vec::new();
    // Where the next message without a key, and the next of each key, may stand at the earliest.
    let mut earliest: HashMap<Option<&str>, usize> = HashMap::new();
    for (place, weight) in weights.iter().enumerate() {
        let from = earliest.get(&weight.ordering_key).copied().unwrap_or(0);
        let fits = |(places, bytes): &(Vec<usize>, usize)| {
            places.len() < BATCH_SIZE && bytes + weight.bytes <= MAX_CHUNK_BYTES
        };
        let at = (from..chunks.len()).find(|at| fits(&chunks[*at])).unwrap_or(chunks.len());
        if at == chunks.len() {
            chunks.push((Vec::new(), 0));
        }
        chunks[at].0.push(place);
        chunks[at].1 += weight.bytes;
        earliest.insert(weight.ordering_key, if weight.ordering_key.is_some() { at + 1 } else { at });
    }
    chunks.into_iter().map(|(places, _)| places).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn weights() -> impl Strategy<Value = Vec<(usize, Option<String>)>> {
        let bytes = prop_oneof![1..2000_usize, 1..600_000_usize, 1_048_000..1_050_000_usize];
        let key = proptest::option::of("[a-d]");
        proptest::collection::vec((bytes, key), 0..120)
    }

    proptest! {
        #[test]
        fn chunks_hold_every_message_once_within_both_limits_and_keep_the_order_of_each_key(given in weights()) {
            let weights: Vec<Weight<'_>> =
                given.iter().map(|(bytes, key)| Weight { bytes: *bytes, ordering_key: key.as_deref() }).collect();
            let chunks = plan(&weights);
            let mut all: Vec<usize> = chunks.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..weights.len()).collect::<Vec<_>>());
            let mut last: HashMap<Option<&str>, usize> = HashMap::new();
            for chunk in &chunks {
                let bytes: usize = chunk.iter().map(|place| weights[*place].bytes).sum();
                prop_assert!((1..=BATCH_SIZE).contains(&chunk.len()));
                prop_assert!(bytes <= MAX_CHUNK_BYTES || chunk.len() == 1, "{} bytes", bytes);
                let mut keys = HashSet::new();
                for place in chunk {
                    let key = weights[*place].ordering_key;
                    prop_assert!(key.is_none() || keys.insert(key), "twice in one chunk: {:?}", key);
                    prop_assert!(last.insert(key, *place).is_none_or(|before| before < *place));
                }
            }
        }

        #[test]
        fn without_ordering_keys_the_chunks_one_after_the_other_are_the_messages_as_given(bytes in proptest::collection::vec(1..300_000_usize, 0..120)) {
            let weights: Vec<Weight<'_>> = bytes.iter().map(|bytes| Weight { bytes: *bytes, ordering_key: None }).collect();
            prop_assert_eq!(plan(&weights).concat(), (0..weights.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn chunks_are_as_few_as_the_order_allows() {
        let check = |keys: &[&'static str], expect: &[&[usize]]| {
            let weight =
                |key: &&'static str| Weight { bytes: 10, ordering_key: (!key.is_empty()).then_some(*key) };
            assert_eq!(plan(&keys.iter().map(weight).collect::<Vec<_>>()), expect, "{keys:?}");
        };
        check(&[], &[]);
        check(&["", "", ""], &[&[0, 1, 2]]);
        check(&["a", "a", "b", "b"], &[&[0, 2], &[1, 3]]);
        check(&["a", "b", "a", "c"], &[&[0, 1, 3], &[2]]);
        check(&["a"; 3], &[&[0], &[1], &[2]]);
        check(&[""; 11], &[&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[10]]);
    }
}
