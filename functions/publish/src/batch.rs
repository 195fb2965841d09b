use api::{Body, Caller, Fields, Kind, PathText, Problem, QueryText};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use delivery::{NewMessage, Published};
use domain::{Fault, Faults, Payload, Queue};
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::{PublishState, answer, options, problems, status};

/// A batch has at most this many messages.
const MAX_MESSAGES: usize = 100;

/// Their payloads have at most this many bytes together.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

pub(crate) async fn by_id(
    State(state): State<PublishState>,
    caller: Caller,
    PathText(id): PathText,
    query: QueryText,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let queue = state.queue_by_id(&caller, &id).await?;
    options::none_of_headers(&headers, query)?;
    state.publish_batch(&caller, &queue, &body).await
}

pub(crate) async fn by_name(
    State(state): State<PublishState>,
    caller: Caller,
    PathText(name): PathText,
    query: QueryText,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Problem> {
    let queue = state.queue_by_name(&caller, &name).await?;
    options::none_of_headers(&headers, query)?;
    state.publish_batch(&caller, &queue, &body).await
}

impl PublishState {
    /// One result per message, in order: 200 when all were accepted, or kept for their dates, else 207. A batch that is no batch is refused as a whole.
    async fn publish_batch(&self, caller: &Caller, queue: &Queue, body: &[u8]) -> Result<Response, Problem> {
        let max_body_bytes = self.publisher.max_body_bytes(queue).await;
        let mut results: Vec<Result<Value, Problem>> = Vec::new();
        let (mut good, mut places) = (Vec::new(), Vec::new());
        for (at, entry) in entries(body)?.into_iter().enumerate() {
            match message(entry, queue, max_body_bytes) {
                Ok(message) => {
                    good.push(message);
                    places.push(at);
                    results.push(Ok(Value::Null));
                }
                Err(problem) => results.push(Err(problem)),
            }
        }
        let answers = self.publisher.publish_batch(caller.key, queue, good).await;
        for (at, published) in places.into_iter().zip(answers) {
            results[at] = published.map(|published| shown_as(&published)).map_err(|error| {
                problems::of(match error {
                    delivery::PublishError::Invalid { options, payload } => {
                        delivery::PublishError::Invalid { options, payload: under_payload(payload) }
                    }
                    other => other,
                })
            });
        }
        let status =
            if results.iter().all(Result::is_ok) { StatusCode::OK } else { StatusCode::MULTI_STATUS };
        let results: Vec<Value> = results.into_iter().map(shown).collect();
        Ok((status, Json(json!({ "results": results }))).into_response())
    }
}

/// The messages of a batch, each as it was written.
fn entries(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let text = std::str::from_utf8(body).map_err(|e| {
        Fault::new("", "not-json", format!("the body is not UTF-8: byte {}", e.valid_up_to() + 1))
    })?;
    // The whole must be JSON before anything is said of its parts.
    let whole: &RawValue = serde_json::from_str(text)
        .map_err(|e| Problem::from(Fault::new("", "not-json", format!("the body is not JSON: {e}"))))?;
    let mut fields = Fields::read(whole.get())?;
    let messages = fields.raw("messages");
    fields.refuse_unknown(&["messages"]);
    let mut faults = fields.faults;
    let messages: Vec<&RawValue> = match messages.map(|list| serde_json::from_str(list.get())) {
        None => {
            faults.add("messages", "required", "'messages' must be given: a list of 1 to 100 messages");
            Vec::new()
        }
        Some(Err(_)) => {
            faults.add("messages", "type", "'messages' must be a list");
            Vec::new()
        }
        Some(Ok(list)) => list,
    };
    if faults.is_empty() && !(1..=MAX_MESSAGES).contains(&messages.len()) {
        let message = format!("a batch has 1 to {MAX_MESSAGES} messages; this one has {}", messages.len());
        faults.add("messages", "count", message);
    }
    faults.into_result()?;
    let bytes: usize = messages.iter().map(|message| message.get().len()).sum();
    if bytes > MAX_BATCH_BYTES {
        let message =
            format!("the messages of a batch have at most {MAX_BATCH_BYTES} bytes together, not {bytes}");
        return Err(Fault::new("messages", "too-large", message).into());
    }
    Ok(messages)
}

/// One entry as a message; a problem names every fault it has.
fn message(entry: &RawValue, queue: &Queue, max_body_bytes: usize) -> Result<NewMessage, Problem> {
    let mut fields = Fields::read(entry.get())?;
    let payload = fields.raw("payload");
    let options = options::of_fields(&mut fields);
    fields.refuse_unknown(&["payload", "idempotency-key", "ordering-key", "deliver-after", "deliver-at"]);
    let mut faults = fields.faults;
    let payload = match payload {
        Some(raw) => Payload::parse(raw.get().as_bytes(), max_body_bytes),
        None => Err(Fault::new("", "required", "'payload' must be given").into()),
    };
    match payload {
        Ok(payload) if faults.is_empty() => Ok(NewMessage { payload, options }),
        Err(of_payload) if of_payload.0.iter().any(|fault| fault.code == "too-large") => {
            Err(under_payload(of_payload).into())
        }
        payload => {
            faults.0.extend(options.faults(queue).0);
            faults.0.extend(payload.err().map(under_payload).unwrap_or_default().0);
            Err(faults.into())
        }
    }
}

fn under_payload(faults: Faults) -> Faults {
    Faults(faults.0.into_iter().map(|fault| fault.under("payload")).collect())
}

fn shown_as(published: &Published) -> Value {
    let mut members = answer(published);
    members.insert("status".to_owned(), json!(status(published).as_u16()));
    Value::Object(members)
}

fn shown(result: Result<Value, Problem>) -> Value {
    match result {
        Ok(Value::Object(members)) => Value::Object(members),
        Ok(_unanswered) => {
            let problem = Problem::new(Kind::Internal, "this message got no answer; it may have been sent");
            shown(Err(problem.with("outcome", "unknown")))
        }
        Err(problem) => json!({ "status": problem.status().as_u16(), "problem": problem.document() }),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    /// `expect`: how many messages, or the status and paths of the problem.
    fn check(body: &[u8], expect: Result<usize, (u16, &[&str])>) {
        match (entries(body), expect) {
            (Ok(found), Ok(count)) => assert_eq!(found.len(), count),
            (Err(problem), Err((status, paths))) => {
                let document = problem.document();
                let found: Vec<_> = document["errors"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|e| e["path"].as_str().unwrap())
                    .collect();
                assert_eq!((problem.status().as_u16(), &found[..]), (status, paths), "{document}");
            }
            (found, expect) => panic!("{found:?} instead of {expect:?}"),
        }
    }

    #[test]
    fn what_is_no_batch_is_refused_as_a_whole() {
        check(br#"{"messages":[{"payload":1},7]}"#, Ok(2));
        check(b"", Err((400, &[""])));
        check(b"{", Err((400, &[""])));
        check(b"\xff", Err((400, &[""])));
        check(b"[]", Err((422, &[""])));
        check(b"{}", Err((422, &["messages"])));
        check(br#"{"messages":{}}"#, Err((422, &["messages"])));
        check(br#"{"messages":[]}"#, Err((422, &["messages"])));
        check(br#"{"messages":[1],"messages":[2],"more":1}"#, Err((422, &["messages", "more"])));
        check(format!(r#"{{"messages":[{}1]}}"#, "1,".repeat(100)).as_bytes(), Err((422, &["messages"])));
        check(
            format!(r#"{{"messages":["{}"]}}"#, "a".repeat(MAX_BATCH_BYTES)).as_bytes(),
            Err((413, &["messages"])),
        );
        check(format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes(), Err((422, &[""])));
    }
}
