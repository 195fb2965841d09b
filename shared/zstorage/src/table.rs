use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, TransactWriteItem, Update,
};
use aws_sdk_dynamodb::{Client, Config};
use rand::Rng;
use tokio::time::{Instant, sleep};

use crate::StoreError;
use crate::error::{Cancelled, cancelled, is_contention};
use crate::item::{Item, Reader, key, number, text};

/// How long a write gives way to other writers before it is [`StoreError::Busy`].
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest single wait among them.
const LONGEST_WAIT_MS: u64 = 200;

/// A get stands at the start of every request (its key, its queue): a store that is gone must be known as gone while there
/// is time for an answer. A call on a connection that died asleep gets a second attempt within it.
const GET_WITHIN: Duration = Duration::from_millis(2000);
const GET_ATTEMPT: Duration = Duration::from_millis(900);

/// Keys that one call may ask for.
const KEYS_AT_ONCE: usize = 100;

/// So often what a throttled table left out of a batch is asked for again.
pub(crate) const ASKS: u32 = 8;

/// One DynamoDB table whose key is `pk` and `sk`.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// A condition or an update in DynamoDB's language. Names and values stand in it by placeholders only.
#[derive(Debug, Default)]
pub(crate) struct Expression {
    pub(crate) text: String,
    pub(crate) names: HashMap<String, String>,
    pub(crate) values: Item,
}

/// One action of a transaction.
pub(crate) enum Action {
    /// Write the whole item, if the condition holds.
    Put(Item, Option<Expression>),
    /// Change (`update`) the item at `(pk, sk)`, if the condition holds. In this and the next an empty condition is none.
    Update { pk: String, sk: String, update: Expression, condition: Expression },
    /// Remove the item at `(pk, sk)`, if the condition holds.
    Delete { pk: String, sk: String, condition: Expression },
    /// Leave the item at `(pk, sk)` as it is, but do nothing of the rest unless the condition holds.
    Check { pk: String, sk: String, condition: Expression },
}

/// Why a transaction did not happen.
#[derive(Debug)]
pub(crate) enum Undone {
    /// The conditions of the actions at these places do not hold.
    Conditions(Vec<usize>),
    /// It failed otherwise.
    Store(StoreError),
}

impl Expression {
    pub(crate) fn new(text: impl Into<String>) -> Expression {
        Expression { text: text.into(), ..Expression::default() }
    }

    /// What stands for `#placeholder`.
    pub(crate) fn name(mut self, placeholder: &str, name: &str) -> Expression {
        self.names.insert(placeholder.to_owned(), name.to_owned());
        self
    }

    /// What stands for `:placeholder`.
    pub(crate) fn value(mut self, placeholder: &str, value: AttributeValue) -> Expression {
        self.values.insert(placeholder.to_owned(), value);
        self
    }

    /// Nothing is there yet.
    pub(crate) fn absent() -> Expression {
        Expression::new("attribute_not_exists(pk)")
    }

    /// The number in `attribute` still is `version`.
    pub(crate) fn at_version(attribute: &str, version: u64) -> Expression {
        Expression::new("#version = :version").name("#version", attribute).value(":version", number(version))
    }

    /// Something is there.
    pub(crate) fn present() -> Expression {
        Expression::new("attribute_exists(pk)")
    }
}

impl Table {
    /// Reads one item, strongly consistent: whoever asks has no older answer to go by.
    pub(crate) async fn get(
        &self,
        operation: &'static str,
        pk: &str,
        sk: &str,
    ) -> Result<Option<Item>, StoreError> {
        let call =
            self.client.get_item().table_name(&self.name).set_key(Some(key(pk, sk))).consistent_read(true);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(GET_ATTEMPT)
            .operation_timeout(GET_WITHIN)
            .build();
        let call = call.customize().config_override(Config::builder().timeout_config(timeouts));
        Ok(call.send().await.map_err(|error| StoreError::from_call(operation, error))?.item)
    }

    /// The items at `keys` that are there, in no order, as they are at this moment. `only` = these attributes of them.
    pub(crate) async fn get_all(
        &self,
        operation: &'static str,
        keys: Vec<Item>,
        only: Option<&[&str]>,
    ) -> Result<Vec<Item>, StoreError> {
        let names = only.map(|only| only.iter().enumerate().map(|(at, name)| (format!("#{at}"), *name)));
        let names: Option<HashMap<_, _>> =
            names.map(|names| names.map(|(at, n)| (at, n.to_owned())).collect());
        let projection = names.as_ref().map(|names| names.keys().cloned().collect::<Vec<_>>().join(", "));
        let mut found = Vec::new();
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let asking = KeysAndAttributes::builder()
                .set_keys(Some(keys.to_vec()))
                .set_projection_expression(projection.clone())
                .set_expression_attribute_names(names.clone())
                .consistent_read(true);
            let mut asked = HashMap::from([(self.name.clone(), asking.build().expect("keys are set"))]);
            for ask in 0..ASKS {
                pause_before(ask).await;
                let call = self.client.batch_get_item().set_request_items(Some(asked));
                let answer = call.send().await.map_err(|error| StoreError::from_call(operation, error))?;
                found.extend(answer.responses.unwrap_or_default().into_values().flatten());
                asked = answer.unprocessed_keys.unwrap_or_default();
                if asked.is_empty() {
                    break;
                }
            }
            if !asked.is_empty() {
                return Err(StoreError::Busy { operation });
            }
        }
        Ok(found)
    }

    /// Up to `limit` items of one partition behind sort key `after`, in the order of their sort keys, and
    /// whether there may be more. `filter` takes away what does not fit, after the items were read.
    pub(crate) async fn query(
        &self,
        operation: &'static str,
        pk: &str,
        range: &Range<'_>,
        filter: Option<&Expression>,
        limit: Option<i32>,
    ) -> Result<(Vec<Item>, Option<String>), StoreError> {
        let mut call = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND sk >= :from")
            .expression_attribute_values(":pk", text(pk))
            .expression_attribute_values(":from", text(range.from))
            .consistent_read(true)
            .set_limit(limit)
            .set_exclusive_start_key(range.after.map(|after| key(pk, after)));
        if let Some(filter) = filter {
            call = call.filter_expression(&filter.text);
            for (placeholder, name) in &filter.names {
                call = call.expression_attribute_names(placeholder, name);
            }
            for (placeholder, value) in &filter.values {
                call = call.expression_attribute_values(placeholder, value.clone());
            }
        }
        let answer = call.send().await.map_err(|error| StoreError::from_call(operation, error))?;
        let last = answer.last_evaluated_key.as_ref().map(|last| Reader(last).text("sk").map(str::to_owned));
        Ok((answer.items.unwrap_or_default(), last.transpose()?))
    }

    /// Carries out all of `actions` or none. Built once and sent again byte-identical, under one token, when other
    /// writers were in the way, so that an answer that was lost is not a second write.
    pub(crate) async fn transact(&self, operation: &'static str, actions: Vec<Action>) -> Result<(), Undone> {
        self.transact_with(operation, actions, Vec::new()).await
    }

    /// As [`Table::transact`], together with actions on other tables, which stand behind `actions`.
    pub(crate) async fn transact_with(
        &self,
        operation: &'static str,
        actions: Vec<Action>,
        others: Vec<TransactWriteItem>,
    ) -> Result<(), Undone> {
        let actions = actions.into_iter().map(|action| self.wire(action)).chain(others).collect();
        let token = format!("{:032x}", rand::rng().random::<u128>());
        let call =
            self.client.transact_write_items().set_transact_items(Some(actions)).client_request_token(token);
        let answer =
            patiently(|| call.clone().send(), |error| cancelled(error) == Cancelled::Contention).await;
        answer.map(|_| ()).map_err(|error| match cancelled(&error) {
            Cancelled::Conditions(places) => Undone::Conditions(places),
            Cancelled::Contention => Undone::Store(StoreError::Busy { operation }),
            Cancelled::Other => Undone::Store(StoreError::from_call(operation, error)),
        })
    }

    /// The action as the API takes it, on this table.
    pub(crate) fn wire(&self, action: Action) -> TransactWriteItem {
        let wire = TransactWriteItem::builder();
        match action {
            Action::Put(item, condition) => {
                let condition = condition.unwrap_or_default();
                let put = Put::builder()
                    .table_name(&self.name)
                    .set_item(Some(item))
                    .set_condition_expression(said(condition.text))
                    .set_expression_attribute_names(some(condition.names))
                    .set_expression_attribute_values(some(condition.values));
                wire.put(put.build().expect("table and item are set"))
            }
            Action::Update { pk, sk, update, condition } => {
                let mut names = update.names;
                names.extend(condition.names);
                let mut values = update.values;
                values.extend(condition.values);
                let update = Update::builder()
                    .table_name(&self.name)
                    .set_key(Some(key(&pk, &sk)))
                    .update_expression(update.text)
                    .set_condition_expression(said(condition.text))
                    .set_expression_attribute_names(some(names))
                    .set_expression_attribute_values(some(values));
                wire.update(update.build().expect("table, key and update are set"))
            }
            Action::Delete { pk, sk, condition } => {
                let delete = Delete::builder()
                    .table_name(&self.name)
                    .set_key(Some(key(&pk, &sk)))
                    .set_condition_expression(said(condition.text))
                    .set_expression_attribute_names(some(condition.names))
                    .set_expression_attribute_values(some(condition.values));
                wire.delete(delete.build().expect("table and key are set"))
            }
            Action::Check { pk, sk, condition } => {
                let check = ConditionCheck::builder()
                    .table_name(&self.name)
                    .set_key(Some(key(&pk, &sk)))
                    .condition_expression(condition.text)
                    .set_expression_attribute_names(some(condition.names))
                    .set_expression_attribute_values(some(condition.values));
                wire.condition_check(check.build().expect("table, key and condition are set"))
            }
        }
        .build()
    }
}

/// An attribute map as the API takes it: left out rather than empty, which DynamoDB refuses.
fn some<V>(map: HashMap<String, V>) -> Option<HashMap<String, V>> {
    (!map.is_empty()).then_some(map)
}

/// An expression as the API takes it: left out rather than empty.
fn said(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Which sort keys of a partition: from `from` on, and behind `after` if a page came before.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Range<'a> {
    pub(crate) from: &'a str,
    pub(crate) after: Option<&'a str>,
}

/// Waits before what was left out is asked for again, longer each time.
pub(crate) async fn pause_before(ask: u32) {
    if ask > 0 {
        sleep(Duration::from_millis(10 << ask)).await;
    }
}

/// Sends `call` again, after growing waits with jitter, as long as `contended` says that other writers were in
/// the way and [`PATIENCE`] lasts.
pub(crate) async fn patiently<T, E, F>(
    call: impl Fn() -> F,
    contended: impl Fn(&SdkError<E>) -> bool,
) -> Result<T, SdkError<E>>
where
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let end = Instant::now() + PATIENCE;
    let mut step_ms = 10;
    loop {
        match call().await {
            Err(error) if contended(&error) && Instant::now() < end => {
                let wait_ms = rand::rng().random_range(step_ms / 2..=step_ms);
                sleep(Duration::from_millis(wait_ms)).await;
                step_ms = (step_ms * 2).min(LONGEST_WAIT_MS);
            }
            answer => return answer,
        }
    }
}

/// For calls on single items: whether a transaction of someone else held the item.
pub(crate) fn held_by_a_transaction<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    error.code().is_some_and(is_contention)
}
