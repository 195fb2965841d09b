use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
};
use domain::MAX_INDEXES;
use tokio::time::sleep;

use crate::StoreError;

/// So often a new table is looked at, 200 ms apart.
const LOOKS: usize = 300;

/// Makes the tables where they are not there yet, with the time to live of Messages and Records on and the five secondary indexes
/// of Records, and waits until they can be used. For the local runner and tests: on AWS the template makes them.
///
/// # Errors
/// The store's; [`StoreError::Busy`] when a table is not ready after a minute.
pub async fn create_tables(
    client: &Client,
    catalog: &str,
    messages: &str,
    records: &str,
) -> Result<(), StoreError> {
    let plain = |table| keyed(client, table);
    let indexed = (1..=MAX_INDEXES).fold(keyed(client, records), with_index);
    for (table, call) in [(catalog, plain(catalog)), (messages, plain(messages)), (records, indexed)] {
        create(call).await?;
        ready(client, table).await?;
    }
    turn_on_ttl(client, messages).await?;
    turn_on_ttl(client, records).await
}

/// A table whose key is `pk` and `sk`.
fn keyed(client: &Client, table: &str) -> CreateTableFluentBuilder {
    let call = client.create_table().table_name(table).billing_mode(BillingMode::PayPerRequest);
    call.key_schema(element("pk", KeyType::Hash))
        .key_schema(element("sk", KeyType::Range))
        .attribute_definitions(attribute("pk", ScalarAttributeType::S))
        .attribute_definitions(attribute("sk", ScalarAttributeType::S))
}

/// The secondary index of slot `slot`: a text and bytes, over whole records.
fn with_index(call: CreateTableFluentBuilder, slot: usize) -> CreateTableFluentBuilder {
    let (pk, sk) = (format!("i{slot}pk"), format!("i{slot}sk"));
    let index = GlobalSecondaryIndex::builder()
        .index_name(format!("index-{slot}"))
        .key_schema(element(&pk, KeyType::Hash))
        .key_schema(element(&sk, KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::All).build());
    call.global_secondary_indexes(index.build().expect("name and key are set"))
        .attribute_definitions(attribute(&pk, ScalarAttributeType::S))
        .attribute_definitions(attribute(&sk, ScalarAttributeType::B))
}

fn element(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().expect("name and kind are set")
}

fn attribute(name: &str, kind: ScalarAttributeType) -> AttributeDefinition {
    let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(kind);
    attribute.build().expect("name and type are set")
}

async fn create(call: CreateTableFluentBuilder) -> Result<(), StoreError> {
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
