//! Counts the calls of a DynamoDB client and the capacity that each says it consumed.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeSerializationInterceptorContextMut,
};
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::batch_get_item::{BatchGetItemInput, BatchGetItemOutput};
use aws_sdk_dynamodb::operation::get_item::{GetItemInput, GetItemOutput};
use aws_sdk_dynamodb::operation::query::{QueryInput, QueryOutput};
use aws_sdk_dynamodb::operation::transact_write_items::{TransactWriteItemsInput, TransactWriteItemsOutput};
use aws_sdk_dynamodb::operation::update_item::{UpdateItemInput, UpdateItemOutput};
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};

/// What was consumed since it was last asked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Bill {
    pub(crate) calls: u32,
    pub(crate) write_units: f64,
    pub(crate) read_units: f64,
}

/// A count that clients write into.
#[derive(Debug, Default, Clone)]
pub(crate) struct Meter(Arc<Mutex<Bill>>);

impl Meter {
    /// The same client, metered.
    pub(crate) fn on(&self, client: &Client) -> Client {
        Client::from_conf(client.config().to_builder().interceptor(self.clone()).build())
    }

    /// What was consumed since the last time this was asked.
    pub(crate) fn take(&self) -> Bill {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "meter"
    }

    /// Asks each call for its price.
    fn modify_before_serialization(
        &self,
        context: &mut BeforeSerializationInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let total = Some(ReturnConsumedCapacity::Total);
        let input = context.input_mut();
        if let Some(input) = input.downcast_mut::<TransactWriteItemsInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<QueryInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<GetItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<BatchGetItemInput>() {
            input.return_consumed_capacity = total;
        } else if let Some(input) = input.downcast_mut::<UpdateItemInput>() {
            input.return_consumed_capacity = total;
        }
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let mut bill = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bill.calls += 1;
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let units =
            |list: &[ConsumedCapacity]| list.iter().filter_map(ConsumedCapacity::capacity_units).sum::<f64>();
        let one = |capacity: Option<&ConsumedCapacity>| units(capacity.map_or(&[], std::slice::from_ref));
        if let Some(output) = output.downcast_ref::<TransactWriteItemsOutput>() {
            bill.write_units += units(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<UpdateItemOutput>() {
            bill.write_units += one(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<QueryOutput>() {
            bill.read_units += one(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
            bill.read_units += one(output.consumed_capacity());
        } else if let Some(output) = output.downcast_ref::<BatchGetItemOutput>() {
            bill.read_units += units(output.consumed_capacity());
        }
        Ok(())
    }
}
