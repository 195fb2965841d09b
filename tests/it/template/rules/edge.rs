//! The HTTP API: its stage, its limits, its routes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::template::sources::anonymous;
use crate::template::stack::{Stack, target};

/// An HTTP API waits this long for its function, then answers 503 by itself.
const HTTP_API_SECS: u64 = 30;

/// The one who answers what no route names.
const DEFAULT_OWNER: &str = "QueueAdminFunction";

/// `GET /path` for an event's properties; the event without a path is the default route.
fn route(event: &Value) -> String {
    match (event["Method"].as_str(), event["Path"].as_str()) {
        (None, None) => "$default".to_owned(),
        (method, path) => anonymous(&format!("{} {}", method.unwrap_or("ANY"), path.unwrap_or("/"))),
    }
}

/// One API, whose stage adds nothing to a path, with limits by parameter; its functions answer before it gives up.
pub(super) fn stage(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let apis = stack.of_type("AWS::Serverless::HttpApi");
    let [api] = apis[..] else { return vec![format!("not one API but {apis:?}")] };
    if stack.property(api, "StageName") != "$default" {
        faults.push(format!("{api}: a named stage changes every path"));
    }
    for (key, parameter) in
        [("ThrottlingRateLimit", "ApiRequestsPerSecond"), ("ThrottlingBurstLimit", "ApiBurst")]
    {
        if stack.property(api, "DefaultRouteSettings")[key] != json!({ "Ref": parameter }) {
            faults.push(format!("{api}: {key} is not the parameter {parameter}"));
        }
    }
    for id in stack.functions() {
        let events = stack.events(id, "HttpApi");
        if events.is_empty() {
            continue;
        }
        if stack.setting(id, "Timeout").as_u64().is_none_or(|timeout| timeout >= HTTP_API_SECS) {
            faults
                .push(format!("{id}: its Timeout is not under the {HTTP_API_SECS} s that an HTTP API waits"));
        }
        let strangers = events.into_iter().filter(|(_, event)| target(&event["ApiId"]) != Some(api));
        faults.extend(
            strangers.map(|(name, _)| format!("{id}.{name}: belongs to an API that is not in the template")),
        );
    }
    faults
}

/// Every route of a router is in the template, at its own function, and the other way round; one owner for the rest.
pub(super) fn routes(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let mut owners = Vec::new();
    for program in &stack.programs {
        let capitals = program.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        let id = capitals.collect::<String>() + "Function";
        let mut wired: BTreeSet<String> =
            stack.events(&id, "HttpApi").iter().map(|(_, event)| route(event)).collect();
        if wired.remove("$default") {
            owners.push(id.clone());
        }
        faults.extend(
            program
                .routes
                .difference(&wired)
                .map(|route| format!("{id}: serves {route}, which does not lead to it")),
        );
        faults.extend(
            wired
                .difference(&program.routes)
                .map(|route| format!("{id}: gets {route}, which it does not serve")),
        );
    }
    if owners != [DEFAULT_OWNER] {
        faults.push(format!("what no route names goes to {owners:?}, not to {DEFAULT_OWNER}"));
    }
    faults
}
