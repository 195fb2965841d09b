use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use domain::MAX_INDEXES;
use tokio::time::sleep;

use crate::StoreError;
use crate::outbox::{DUE_INCLUDES, DUE_INDEX};

/// So often a new table is looked at, 200 ms apart.
const LOOKS: usize = 300;

/// What the four tables are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableNames<'n> {
    /// Queues, tables, keys, packages.
    pub catalog: &'n str,
    /// Letters, idempotency rows, jobs.
    pub messages: &'n str,
    /// The records of all tables.
    pub records: &'n str,
    /// What is to be sent.
    pub outbox: &'n str,
}

/// Makes the tables where they are not there yet, with the time to live of all but Catalog on, the five secondary indexes of
/// Records, the index `due` and the stream of Outbox, and waits until they can be used. For the local runner and tests: on
/// AWS the template makes them.
///
/// # Errors
/// The store's; [`StoreError::Busy`] when a table is not ready after a minute.
pub async fn create_tables(client: &Client, names: TableNames<'_>) -> Result<(), StoreError> {
    let TableNames { catalog, messages, records, outbox } = names;
    let indexed = (1..=MAX_INDEXES).fold(keyed(client, records), with_index);
    let outbox_call = with_due(keyed(client, outbox)).stream_specification(new_images());
    let plain = |table| keyed(client, table);
    let calls = [plain(catalog), plain(messages), indexed, outbox_call];
    for (table, call) in [catalog, messages, records, outbox].into_iter().zip(calls) {
        create(call).await?;
        ready(client, table).await?;
    }
    for table in [messages, records, outbox] {
        turn_on_ttl(client, table).await?;
    }
    Ok(())
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

/// What the outbox is asked by time: what is to be sent, and what was given up.
fn with_due(call: CreateTableFluentBuilder) -> CreateTableFluentBuilder {
    let projection = Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(DUE_INCLUDES.map(str::to_owned).to_vec()));
    let index = GlobalSecondaryIndex::builder()
        .index_name(DUE_INDEX)
        .key_schema(element("due", KeyType::Hash))
        .key_schema(element("next-attempt-at", KeyType::Range))
        .projection(projection.build());
    call.global_secondary_indexes(index.build().expect("name and key are set"))
        .attribute_definitions(attribute("due", ScalarAttributeType::S))
        .attribute_definitions(attribute("next-attempt-at", ScalarAttributeType::N))
}

/// The stream that rings when an entry is committed.
fn new_images() -> StreamSpecification {
    let stream =
        StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    stream.build().expect("whether it is enabled is set")
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
