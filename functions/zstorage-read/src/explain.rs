use serde_json::{Map, Value, json};
use zstorage::Explain;

/// How a query was answered and what that cost.
pub(crate) fn document(explain: &Explain) -> Value {
    let mut members = Map::from_iter([("plan".to_owned(), json!(explain.plan))]);
    if let Some(index) = &explain.index {
        let names: Vec<&str> = index.iter().map(|name| name.as_str()).collect();
        members.insert("index".to_owned(), json!(names));
    }
    let leaves_out: Vec<&str> = explain.leaves_out_without.iter().map(|name| name.as_str()).collect();
    let more = [
        ("items-read", json!(explain.items_read)),
        ("read-units", json!(explain.read_units)),
        ("calls", json!(explain.calls)),
        ("by-key", json!(explain.by_key)),
        ("pushed-down", json!(explain.pushed)),
        ("in-memory", json!(explain.in_memory)),
        ("leaves-out-without", json!(leaves_out)),
        ("eventually-consistent", json!(explain.eventually_consistent)),
    ];
    members.extend(more.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(members)
}
