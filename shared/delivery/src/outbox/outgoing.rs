use domain::{EntryKey, EntryState, OutboxEntry};
use queue::Outgoing;

/// An entry as it travels: the body, and beside it what its reader may want to know without reading that.
///
/// `link-depth` says how many links whatever its handler writes will have followed from, this one included. `held` is the proof,
/// in the hand of whoever has the message, that the queue took it: `handling` lets the record stand by it before the message's
/// handler starts.
pub(crate) fn outgoing(entry: &OutboxEntry) -> Outgoing {
    let mut attributes = Vec::new();
    if let (EntryKey::Link { record, version, .. }, Some(origin)) = (&entry.key, &entry.origin) {
        attributes = vec![
            ("table", origin.table.to_string()),
            ("record-id", record.to_string()),
            ("operation", origin.operation.as_str().to_owned()),
            ("version", version.to_string()),
            ("link-depth", (origin.depth + 1).to_string()),
        ];
    }
    if entry.state == EntryState::Held {
        attributes.push(("held", entry.key.to_string()));
    }
    Outgoing {
        message_id: entry.message_id.to_string(),
        round: entry.round,
        body: entry.body.clone(),
        ordering_key: entry.ordering_key.clone(),
        delay_secs: 0,
        attributes,
    }
}
