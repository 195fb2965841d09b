use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::plan::{Ask, Direction, Tag};
use super::query::merge::Place;
use crate::seal::TableKeys;

/// The form of what a cursor holds; a cursor of another form is refused like a forged one.
const FORM: u8 = 1;

/// Bytes of the signature.
const MAC_BYTES: usize = 32;

/// Where a query goes on: behind this place, in the order of the plan that was followed so far. One place serves all of a
/// table's buckets, for they are merged in one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) tag: Tag,
    pub(crate) place: Place,
}

/// What a cursor is good for: this table, filter, search and order, and nothing else. Values of records stand in a
/// cursor, so whoever may not read them must not be able to make one up and compare.
pub(crate) fn binding(ask: &Ask<'_>, filter: &str, search: Option<&str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // With its length, so that no part can pass for the end of another.
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(ask.table.prefix.as_str().as_bytes());
    part(filter.as_bytes());
    part(search.unwrap_or_default().as_bytes());
    let direction = |direction: Direction| 1 + u8::from(direction == Direction::Descending);
    part(&[u8::from(search.is_some()), ask.by_age.map_or(0, direction)]);
    for (field, way) in ask.sort {
        part(&field.0.to_be_bytes());
        part(&[direction(*way)]);
    }
    hash.finalize().into()
}

/// Writes `position` down for the caller to send back.
pub(crate) fn write(keys: &TableKeys, binding: &[u8; 32], position: &Position) -> String {
    let mut bytes = vec![FORM];
    bytes.extend(position.tag.0.to_be_bytes());
    bytes.push(position.place.bucket);
    bytes.extend(&position.place.key);
    bytes.extend(keys.sign_cursor(&[binding, bytes.as_slice()].concat()));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads what [`write`] wrote for the same keys and binding; `None` for everything else.
pub(crate) fn read(keys: &TableKeys, binding: &[u8; 32], text: &str) -> Option<Position> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (body, signature) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
    if !keys.is_signature_of(&[binding, body].concat(), signature) {
        return None;
    }
    let (head, place) = body.split_first_chunk::<6>()?;
    let [FORM, tag @ .., bucket] = *head else { return None };
    Some(Position { tag: Tag(u32::from_be_bytes(tag)), place: Place { key: place.to_vec(), bucket } })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::rc::Rc;

    use domain::TablePrefix;
    use futures::FutureExt;
    use proptest::prelude::*;

    use super::*;
    use crate::Sealer;

    thread_local! {
        static KEYS: Rc<TableKeys> = Rc::new(keys());
    }

    /// Keys of a table of its own.
    fn keys() -> TableKeys {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let sealer = Sealer::from_key_file(&file).unwrap();
        let made = sealer.new_data_key(TablePrefix::nth(0).unwrap()).now_or_never().unwrap().unwrap();
        made.1.table_keys()
    }

    #[test]
    fn a_cursor_of_another_table_is_not_read() {
        let position = Position { tag: Tag(0), place: Place { key: vec![1], bucket: b'0' } };
        assert_eq!(read(&keys(), &[0; 32], &write(&keys(), &[0; 32], &position)), None);
    }

    proptest! {
        #[test]
        fn a_cursor_is_read_as_written_and_a_changed_or_foreign_one_not_at_all(
            binding: [u8; 32], tag: u32, bucket: u8, place: Vec<u8>, at: prop::sample::Index, bit in 0..8_u32,
        ) {
            let keys = KEYS.with(Rc::clone);
            let position = Position { tag: Tag(tag), place: Place { key: place, bucket } };
            let text = write(&keys, &binding, &position);
            prop_assert_eq!(read(&keys, &binding, &text), Some(position));
            let mut other = binding;
            other[at.index(32)] ^= 1_u8 << bit;
            prop_assert_eq!(read(&keys, &other, &text), None);
            let mut bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(read(&keys, &binding, &URL_SAFE_NO_PAD.encode(&bytes)), None);
        }

        #[test]
        fn no_text_brings_it_down(text: String) {
            prop_assert_eq!(KEYS.with(|keys| read(keys, &[0; 32], &text)), None);
        }
    }
}
