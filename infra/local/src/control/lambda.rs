//! Event source mappings, and what a function is configured with, in AWS Lambda's REST JSON (API version 2015-03-31).

use axum::{
    Json,
    body::Bytes,
    extract::{Path, Query, State as From},
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::Control;
use crate::mapping::{Change, Mapping, MappingError, NewMapping, State};

const REPORT: &str = "ReportBatchItemFailures";

/// Lambda lists at most this many at once.
const PAGE: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    event_source_arn: String,
    function_name: String,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default = "ten")]
    batch_size: u8,
    #[serde(default)]
    function_response_types: Vec<String>,
    scaling_config: Option<Scaling>,
    #[serde(flatten)]
    other: Unsupported,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    function_name: Option<String>,
    enabled: Option<bool>,
    batch_size: Option<u8>,
    function_response_types: Option<Vec<String>>,
    scaling_config: Option<Scaling>,
    #[serde(flatten)]
    other: Unsupported,
}

/// What we do not imitate is refused, never passed over: a filter that is ignored here would delete messages on AWS.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unsupported {
    #[serde(default)]
    maximum_batching_window_in_seconds: u32,
    filter_criteria: Option<serde_json::Value>,
    provisioned_poller_config: Option<serde_json::Value>,
}

#[derive(Deserialize, Serialize, Clone, Copy)]
#[serde(rename_all = "PascalCase")]
struct Scaling {
    maximum_concurrency: Option<u16>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    marker: Option<String>,
    max_items: Option<usize>,
}

fn yes() -> bool {
    true
}

fn ten() -> u8 {
    10
}

impl Unsupported {
    fn check(&self) -> Result<(), Refusal> {
        let given = [
            (self.maximum_batching_window_in_seconds > 0, "MaximumBatchingWindowInSeconds"),
            (self.filter_criteria.is_some(), "FilterCriteria"),
            (self.provisioned_poller_config.is_some(), "ProvisionedPollerConfig"),
        ];
        match given.iter().find(|(given, _)| *given) {
            None => Ok(()),
            Some((_, name)) => Err(Refusal::invalid(format!("{name} is not imitated by the local runner"))),
        }
    }
}

pub(super) async fn create(From(control): From<Control>, body: Bytes) -> Result<Response, Refusal> {
    let asked: Create = read_json(&body)?;
    asked.other.check()?;
    let new = NewMapping {
        source_arn: asked.event_source_arn,
        function: asked.function_name,
        enabled: asked.enabled,
        batch_size: asked.batch_size,
        reports_failures: asked.function_response_types.iter().any(|kind| kind == REPORT),
        maximum_concurrency: asked.scaling_config.and_then(|scaling| scaling.maximum_concurrency),
    };
    let (mapping, _) = control.mappings.create(new).await?;
    Ok((StatusCode::ACCEPTED, Json(control.configuration(&mapping, "Creating"))).into_response())
}

pub(super) async fn read(
    From(control): From<Control>,
    Path(uuid): Path<String>,
) -> Result<Response, Refusal> {
    let (mapping, state) = control.mappings.get(&uuid).await?;
    Ok(Json(control.configuration(&mapping, word(state))).into_response())
}

pub(super) async fn list(From(control): From<Control>, Query(asked): Query<Listing>) -> Response {
    let function = asked.function_name.as_deref().map(crate::mapping::bare_name);
    let mut found = control.mappings.list().await;
    found.retain(|(mapping, _)| {
        asked.event_source_arn.as_ref().is_none_or(|arn| *arn == mapping.source_arn)
            && function.is_none_or(|name| name == mapping.function)
            && asked.marker.as_ref().is_none_or(|marker| mapping.uuid.to_string() > *marker)
    });
    let page = asked.max_items.unwrap_or(PAGE).clamp(1, PAGE);
    let more = found.len() > page;
    found.truncate(page);
    let next = found.last().filter(|_| more).map(|(mapping, _)| mapping.uuid.to_string());
    let configurations: Vec<_> =
        found.iter().map(|(mapping, state)| control.configuration(mapping, word(*state))).collect();
    Json(json!({ "EventSourceMappings": configurations, "NextMarker": next })).into_response()
}

pub(super) async fn update(
    From(control): From<Control>,
    Path(uuid): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let asked: Update = read_json(&body)?;
    asked.other.check()?;
    if let Some(function) = &asked.function_name {
        let (mapping, _) = control.mappings.get(&uuid).await?;
        if crate::mapping::bare_name(function) != mapping.function {
            return Err(Refusal::invalid("a mapping's function cannot be changed by the local runner"));
        }
    }
    let change = Change {
        enabled: asked.enabled,
        batch_size: asked.batch_size,
        reports_failures: asked.function_response_types.map(|kinds| kinds.iter().any(|kind| kind == REPORT)),
        maximum_concurrency: asked.scaling_config.map(|scaling| scaling.maximum_concurrency),
    };
    let (mapping, state) = control.mappings.update(&uuid, change).await?;
    Ok((StatusCode::ACCEPTED, Json(control.configuration(&mapping, word(state)))).into_response())
}

pub(super) async fn delete(
    From(control): From<Control>,
    Path(uuid): Path<String>,
) -> Result<Response, Refusal> {
    let mapping = control.mappings.delete(&uuid).await?;
    Ok((StatusCode::ACCEPTED, Json(control.configuration(&mapping, "Deleting"))).into_response())
}

/// `GetFunctionConfiguration`: of all that Lambda says, the name, the ARN and the environment.
pub(super) async fn configuration(
    From(control): From<Control>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let name = crate::mapping::bare_name(&name);
    let arn = format!("arn:aws:lambda:{}:{}:function:{name}", control.region, control.account);
    let Some(variables) = control.configured.get(name) else {
        return Err(Refusal {
            status: StatusCode::NOT_FOUND,
            kind: "ResourceNotFoundException",
            message: format!("Function not found: {arn}"),
        });
    };
    let environment = json!({ "Variables": variables });
    Ok(Json(json!({ "FunctionName": name, "FunctionArn": arn, "Environment": environment })).into_response())
}

fn word(state: State) -> &'static str {
    match state {
        State::Enabled => "Enabled",
        State::Disabling => "Disabling",
        State::Disabled => "Disabled",
    }
}

impl Control {
    /// Lambda's `EventSourceMappingConfiguration`.
    fn configuration(&self, mapping: &Mapping, state: &str) -> serde_json::Value {
        let (region, account) = (&self.region, &self.account);
        let arn = |kind: &str, name: &str| format!("arn:aws:lambda:{region}:{account}:{kind}:{name}");
        let uuid = mapping.uuid.to_string();
        let reports: &[&str] = if mapping.reports_failures { &[REPORT] } else { &[] };
        let mut configuration = json!({
            "UUID": uuid,
            "EventSourceMappingArn": arn("event-source-mapping", &uuid),
            "EventSourceArn": mapping.source_arn,
            "FunctionArn": arn("function", &mapping.function),
            "BatchSize": mapping.batch_size,
            "MaximumBatchingWindowInSeconds": 0,
            "FunctionResponseTypes": reports,
            "LastModified": mapping.modified_at.as_second(),
            "State": state,
            "StateTransitionReason": "USER_INITIATED",
        });
        if mapping.maximum_concurrency.is_some() {
            configuration["ScalingConfig"] =
                json!(Scaling { maximum_concurrency: mapping.maximum_concurrency });
        }
        configuration
    }
}

/// An error as Lambda words it.
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl Refusal {
    fn invalid(message: impl Into<String>) -> Refusal {
        Refusal {
            status: StatusCode::BAD_REQUEST,
            kind: "InvalidParameterValueException",
            message: message.into(),
        }
    }
}

impl std::convert::From<MappingError> for Refusal {
    fn from(error: MappingError) -> Refusal {
        let (status, kind) = match error {
            MappingError::Exists(_) => (StatusCode::CONFLICT, "ResourceConflictException"),
            MappingError::NoMapping(_) | MappingError::NoFunction(_) => {
                (StatusCode::NOT_FOUND, "ResourceNotFoundException")
            }
            MappingError::Invalid(_) => (StatusCode::BAD_REQUEST, "InvalidParameterValueException"),
            MappingError::NotKept(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException"),
        };
        Refusal { status, kind, message: error.to_string() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let whose = if self.status.is_server_error() { "Service" } else { "User" };
        let header = (HeaderName::from_static("x-amzn-errortype"), self.kind);
        (self.status, [header], Json(json!({ "Type": whose, "Message": self.message }))).into_response()
    }
}

fn read_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal {
        status: StatusCode::BAD_REQUEST,
        kind: "InvalidRequestContentException",
        message: format!("could not parse the request body: {error}"),
    })
}
