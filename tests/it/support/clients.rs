//! The real AWS SDK against engines on this machine.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};

macro_rules! client {
    ($name:ident, $sdk:ident) => {
        pub fn $name(endpoint: &str) -> $sdk::Client {
            let config = $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .endpoint_url(endpoint)
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(30)).build())
                .build();
            $sdk::Client::from_conf(config)
        }
    };
}

client!(sqs, aws_sdk_sqs);
client!(dynamodb, aws_sdk_dynamodb);
client!(streams, aws_sdk_dynamodbstreams);
