//! What the three batch operations have alike: 1 to 10 entries with distinct ids, one result each.

use super::refusal::Refusal;
use serde_json::{Value, json};
use std::collections::HashSet;

const MAX_ENTRIES: usize = 10;
const MAX_ID_BYTES: usize = 80;

/// One entry of a batch request.
pub(super) trait Entry {
    /// The caller's name for it, unique in the request.
    fn id(&self) -> &str;
}

/// Does one entry after the other; a refused one hurts only itself.
///
/// # Errors
/// The request as a whole is refused for its number of entries or for their ids.
pub(super) fn each<E: Entry>(
    entries: &[E],
    mut act: impl FnMut(&E) -> Result<Value, Refusal>,
) -> Result<Value, Refusal> {
    check(entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match act(entry) {
            Ok(mut done) => {
                done["Id"] = json!(entry.id());
                successful.push(done);
            }
            // A fault of ours undoes the whole request: the caller must not take half of it for done.
            Err(refusal) if !refusal.sender_fault => return Err(refusal),
            Err(refusal) => failed.push(refusal.entry(entry.id())),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

/// The rules for a batch as a whole.
pub(super) fn check<E: Entry>(entries: &[E]) -> Result<(), Refusal> {
    if entries.is_empty() {
        return Err(Refusal::empty_batch());
    }
    if entries.len() > MAX_ENTRIES {
        return Err(Refusal::too_many_entries(entries.len()));
    }
    let mut seen = HashSet::new();
    for id in entries.iter().map(Entry::id) {
        let sound = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
        if id.is_empty() || id.len() > MAX_ID_BYTES || !id.bytes().all(sound) {
            return Err(Refusal::entry_id());
        }
        if !seen.insert(id) {
            return Err(Refusal::equal_entry_ids(id));
        }
    }
    Ok(())
}
