use std::io::Write;

use serde_json::{Map, Value, json};

use crate::Environment;

/// Numbers for CloudWatch, told as lines of its embedded metric format: on Lambda the log is the way there, so that a number
/// costs no call and needs no right.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The namespace and what every number is about.
    place: Place,
    /// Whether anybody reads them.
    told: bool,
}

#[derive(Debug, Clone)]
struct Place {
    namespace: &'static str,
    dimension: &'static str,
    value: String,
}

/// One number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// What CloudWatch calls it.
    pub name: &'static str,
    /// `Seconds`, `Count`, or another of CloudWatch's units.
    pub unit: &'static str,
    /// How much.
    pub value: u64,
}

impl Metrics {
    /// Numbers in `namespace`, each about the thing that `dimension` and `value` name. They are told where `environment` is
    /// that of a Lambda function, whose log CloudWatch reads, and nowhere else.
    pub fn new(
        environment: &Environment,
        namespace: &'static str,
        dimension: &'static str,
        value: String,
    ) -> Metrics {
        let told = environment.get("AWS_LAMBDA_FUNCTION_NAME").is_some();
        Metrics { place: Place { namespace, dimension, value }, told }
    }

    /// Tells the numbers as they were at `at_ms`, milliseconds of the epoch: one line on standard output, on which nothing
    /// else of ours stands. What cannot be written is let go: the next numbers are soon there.
    pub fn tell(&self, at_ms: i64, metrics: &[Metric]) {
        if self.told {
            let mut out = std::io::stdout().lock();
            let _told_or_not =
                writeln!(out, "{}", self.place.line(at_ms, metrics)).and_then(|()| out.flush());
        }
    }
}

impl Place {
    /// The line, as the embedded metric format's specification has it.
    fn line(&self, at_ms: i64, metrics: &[Metric]) -> Value {
        let defined: Vec<Value> =
            metrics.iter().map(|metric| json!({ "Name": metric.name, "Unit": metric.unit })).collect();
        let about = json!({
            "Timestamp": at_ms,
            "CloudWatchMetrics": [{
                "Namespace": self.namespace,
                "Dimensions": [[self.dimension]],
                "Metrics": defined,
            }],
        });
        let head = [("_aws".to_owned(), about), (self.dimension.to_owned(), json!(self.value))];
        let values = metrics.iter().map(|metric| (metric.name.to_owned(), json!(metric.value)));
        Value::Object(head.into_iter().chain(values).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(environment: &[(&str, &str)]) -> Metrics {
        Metrics::new(&environment.iter().copied().collect(), "Queuelink", "Stack", "shop".to_owned())
    }

    #[test]
    fn a_line_names_its_numbers_and_what_they_are_about() {
        let told = [
            Metric { name: "OutboxLagSeconds", unit: "Seconds", value: 61 },
            Metric { name: "ParkedEntries", unit: "Count", value: 0 },
        ];
        let line = metrics(&[]).place.line(1_700_000_000_123, &told);
        let expect = json!({
            "_aws": {
                "Timestamp": 1_700_000_000_123_i64,
                "CloudWatchMetrics": [{
                    "Namespace": "Queuelink",
                    "Dimensions": [["Stack"]],
                    "Metrics": [
                        { "Name": "OutboxLagSeconds", "Unit": "Seconds" },
                        { "Name": "ParkedEntries", "Unit": "Count" },
                    ],
                }],
            },
            "Stack": "shop",
            "OutboxLagSeconds": 61,
            "ParkedEntries": 0,
        });
        assert_eq!(line, expect);
        assert_eq!(line.to_string().lines().count(), 1, "CloudWatch reads line by line");
    }

    #[test]
    fn only_a_lambda_function_tells_its_numbers() {
        assert!(!metrics(&[]).told);
        assert!(metrics(&[("AWS_LAMBDA_FUNCTION_NAME", "outbox-sweeper")]).told);
    }
}
