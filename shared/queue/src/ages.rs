use std::collections::HashMap;
use std::fmt;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use domain::{Clock, OnDemand, SqsQueue};

use crate::AdminError;

/// SQS tells CloudWatch once a minute, and late.
const PERIOD_SECS: i32 = 60;
const LOOK_BACK_SECS: i64 = 600;

/// So many queues fit into one call.
const QUEUES_PER_CALL: usize = 500;

/// How long messages wait: SQS itself does not say, only its metrics do.
#[derive(Clone)]
pub struct Ages {
    client: OnDemand<Client>,
    clock: Clock,
}

impl fmt::Debug for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ages")
    }
}

impl Ages {
    /// Ages by CloudWatch's metrics, of queues in the client's own region and account.
    pub fn new(client: impl Into<OnDemand<Client>>) -> Ages {
        Ages { client: client.into(), clock: Clock::system() }
    }

    /// The age of the oldest message of each queue, seconds, as of the last minutes: one call for a page of queues. A
    /// queue that is not in the answer has no figure: it has been idle, or lies in another region.
    ///
    /// # Errors
    /// [`AdminError::Denied`] and the rest.
    pub async fn oldest_age_secs(&self, queues: &[SqsQueue]) -> Result<HashMap<SqsQueue, u64>, AdminError> {
        const OPERATION: &str = "ask for the ages of messages";
        let home = self.client.config().region().map(ToString::to_string);
        let queues: Vec<&SqsQueue> =
            queues.iter().filter(|queue| home.as_deref() == Some(&queue.region)).collect();
        let now = self.clock.now().as_second();
        let mut ages = HashMap::new();
        for some in queues.chunks(QUEUES_PER_CALL) {
            let queries = some.iter().enumerate().map(|(at, queue)| query(at, queue)).collect();
            let call = self
                .client
                .get_metric_data()
                .set_metric_data_queries(Some(queries))
                .start_time(DateTime::from_secs(now - LOOK_BACK_SECS))
                .end_time(DateTime::from_secs(now))
                .scan_by(ScanBy::TimestampDescending);
            let answer =
                call.send().await.map_err(|error| AdminError::from_call(OPERATION, "metric", error))?;
            for result in answer.metric_data_results() {
                let at: Option<usize> = result.id().and_then(|id| id.strip_prefix('q')?.parse().ok());
                let newest = result.values().first().filter(|age| age.is_finite() && **age >= 0.0);
                if let (Some(queue), Some(age)) = (at.and_then(|at| some.get(at)), newest) {
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "an age in seconds, not negative"
                    )]
                    ages.insert((*queue).clone(), age.round() as u64);
                }
            }
        }
        Ok(ages)
    }
}

fn query(at: usize, queue: &SqsQueue) -> MetricDataQuery {
    let dimension = Dimension::builder().name("QueueName").value(&queue.name).build();
    let metric = Metric::builder()
        .namespace("AWS/SQS")
        .metric_name("ApproximateAgeOfOldestMessage")
        .dimensions(dimension);
    let stat = MetricStat::builder().metric(metric.build()).period(PERIOD_SECS).stat("Maximum");
    MetricDataQuery::builder().id(format!("q{at}")).metric_stat(stat.build()).build()
}
