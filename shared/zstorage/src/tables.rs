use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use tokio::time::sleep;

use crate::StoreError;

/// So often a new table is looked at, 200 ms apart.
const LOOKS: usize = 300;

/// Makes both tables where they are not there yet, with the time to live of Messages on, and waits until they can be used.
/// For the local runner and tests: on AWS the template makes them.
///
/// # Errors
/// The store's; [`StoreError::Busy`] when a table is not ready after a minute.
pub async fn create_tables(client: &Client, catalog: &str, messages: &str) -> Result<(), StoreError> {
    for table in [catalog, messages] {
        create(client, table).await?;
        ready(client, table).await?;
    }
    turn_on_ttl(client, messages).await
}

async fn create(client: &Client, table: &str) -> Result<(), StoreError> {
    let mut call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let element = KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
        let attribute = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build();
        call = call
            .key_schema(element.expect("name and kind are set"))
            .attribute_definitions(attribute.expect("name and type are set"));
    }
    match call.send().await {
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => Ok(()),
        answer => answer.map(|_| ()).map_err(|error| StoreError::from_call("create a table", error)),
    }
}

async fn ready(client: &Client, table: &str) -> Result<(), StoreError> {
    const OPERATION: &str = "wait for a table";
    for _ in 0..LOOKS {
        let answer = client.describe_table().table_name(table).send().await;
        let answer = answer.map_err(|error| StoreError::from_call(OPERATION, error))?;
        if answer.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
    Err(StoreError::Busy { operation: OPERATION })
}

async fn turn_on_ttl(client: &Client, table: &str) -> Result<(), StoreError> {
    const OPERATION: &str = "turn on the time to live";
    let answer = client.describe_time_to_live().table_name(table).send().await;
    let answer = answer.map_err(|error| StoreError::from_call(OPERATION, error))?;
    let status = answer.time_to_live_description.and_then(|ttl| ttl.time_to_live_status);
    // To turn on what is on already is an error to DynamoDB.
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires-at").build();
    let call = client.update_time_to_live().table_name(table);
    let call = call.time_to_live_specification(ttl.expect("both fields are set"));
    call.send().await.map(|_| ()).map_err(|error| StoreError::from_call(OPERATION, error))
}
