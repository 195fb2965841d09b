//! CloudWatch's `GetMetricData` in Smithy RPC v2 CBOR, for the one metric our functions read: how old the oldest message
//! of a queue is. The local queue knows it exactly, so there is one point, now.

use std::collections::BTreeMap;

use aws_smithy_cbor::Encoder;
use aws_smithy_types::DateTime;
use axum::{
    body::Bytes,
    extract::State as From,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;

use super::{Control, cbor};

const NAMESPACE: &str = "AWS/SQS";
const METRIC: &str = "ApproximateAgeOfOldestMessage";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Question {
    metric_data_queries: Vec<Query>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Query {
    id: String,
    label: Option<String>,
    metric_stat: Option<MetricStat>,
    return_data: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricStat {
    metric: Metric,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
    value: String,
}

struct Series {
    id: String,
    label: String,
    age_secs: Option<u64>,
}

pub(super) async fn get_metric_data(From(control): From<Control>, body: Bytes) -> Response {
    let question = cbor::read(&body).map_err(|error| error.to_string());
    let question: Result<Question, String> =
        question.and_then(|question| serde_json::from_value(question).map_err(|error| error.to_string()));
    let question = match question {
        Ok(question) => question,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, "InvalidParameterValue", &error),
    };
    let mut asked = Vec::new();
    for query in question.metric_data_queries {
        let Some(stat) = &query.metric_stat else {
            let message = "the local runner answers queries with a MetricStat, not expressions";
            return refusal(StatusCode::BAD_REQUEST, "InvalidParameterValue", message);
        };
        if query.return_data.unwrap_or(true) {
            let queue = stat.metric.queue_of_age().map(str::to_owned);
            asked.push((query, queue));
        }
    }
    let ages = control.ages.clone();
    let queues: Vec<String> = asked.iter().filter_map(|(_, queue)| queue.clone()).collect();
    // The ages come from the disk.
    let read = tokio::task::spawn_blocking(move || {
        queues
            .into_iter()
            .map(|queue| ages(&queue).map(|age| (queue, age)))
            .collect::<Result<BTreeMap<_, _>, _>>()
    });
    let ages = match read.await {
        Ok(Ok(ages)) => ages,
        Ok(Err(error)) => {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalServiceError", &error.to_string());
        }
        Err(_) => {
            return refusal(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServiceError",
                "the queues could not be read",
            );
        }
    };
    let series = asked.into_iter().map(|(query, queue)| Series {
        label: query.label.unwrap_or_else(|| METRIC.to_owned()),
        id: query.id,
        age_secs: queue.and_then(|queue| ages.get(&queue).copied().flatten()),
    });
    answer(StatusCode::OK, write(series.collect(), control.clock.now().as_second()))
}

impl Metric {
    /// The queue, if this is the metric we know.
    fn queue_of_age(&self) -> Option<&str> {
        let ours =
            self.namespace.as_deref() == Some(NAMESPACE) && self.metric_name.as_deref() == Some(METRIC);
        let dimension = self.dimensions.iter().find(|dimension| dimension.name == "QueueName");
        dimension.filter(|_| ours).map(|dimension| dimension.value.as_str())
    }
}

/// One point for each queue that has messages, at the full minute, as CloudWatch's points are.
fn write(series: Vec<Series>, now_secs: i64) -> Vec<u8> {
    let minute = DateTime::from_secs(now_secs - now_secs.rem_euclid(60));
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(2);
    encoder.str("Messages").array(0);
    encoder.str("MetricDataResults").array(series.len());
    for Series { id, label, age_secs } in series {
        encoder.map(5);
        encoder.str("Id").str(&id);
        encoder.str("Label").str(&label);
        encoder.str("StatusCode").str("Complete");
        encoder.str("Timestamps").array(age_secs.iter().len());
        age_secs.iter().for_each(|_| {
            encoder.timestamp(&minute);
        });
        encoder.str("Values").array(age_secs.iter().len());
        age_secs.iter().for_each(|age| {
            encoder.double(*age as f64);
        });
    }
    encoder.into_writer()
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    let mut encoder = Encoder::new(Vec::new());
    encoder.map(2).str("__type").str(code).str("message").str(message);
    answer(status, encoder.into_writer())
}

fn answer(status: StatusCode, body: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/cbor"),
        (header::HeaderName::from_static("smithy-protocol"), "rpc-v2-cbor"),
    ];
    (status, headers, body).into_response()
}
