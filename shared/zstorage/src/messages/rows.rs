use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld;
use domain::{KeyId, Letter, MessageId, QueueId, hex};
use sha2::{Digest, Sha256};

use super::{Messages, MessagesError, TTL, letter_item};
use crate::StoreError;
use crate::item::{Item, Reader, Writer, bytes, key, number, text};
use crate::table::{Action, Expression, Undone, held_by_a_transaction, patiently};

/// A row answers for its key this long, seconds.
const KEPT_SECS: i64 = 24 * 3600;

/// So often a caller looks again at a row that others take at the same time, before the store counts as busy.
const LOOKS: usize = 8;

const SK: &str = "i";

/// What makes a publish the same as one before: who asks, for which queue, under which `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// The caller's API key.
    pub caller: KeyId,
    /// The queue.
    pub queue: QueueId,
    /// The caller's own text, of any length.
    pub key: String,
}

/// What a caller may do who wants to publish under an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// Nobody was here before: send under this id.
    New {
        /// The id that was handed in.
        message_id: MessageId,
    },
    /// An earlier call was refused, or was cut off: send again under its id.
    Resume {
        /// The earlier call's id.
        message_id: MessageId,
        /// The message id of the letter that was kept, if there is one; [`Messages::accepted`] will close it.
        letter: Option<String>,
    },
    /// An earlier call was accepted: answer what it answered.
    Accepted {
        /// The earlier call's id.
        message_id: MessageId,
        /// The engine's id of the message.
        engine_id: String,
    },
    /// The key was used for another body.
    OtherBody,
    /// Another call is at it now.
    InProgress {
        /// Seconds until it counts as cut off, at least 1.
        retry_after_secs: u32,
    },
}

impl IdempotencyKey {
    fn pk(&self) -> String {
        let hash = hex(&Sha256::digest(self.key.as_bytes()));
        format!("i#{}#{}#{hash}", self.caller, self.queue)
    }
}

/// A row as it is stored.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    body_hash: [u8; 32],
    message_id: MessageId,
    state: RowState,
    /// The id that the last taker brought along: it tells whose the row is, even when the answer to the taking was lost.
    taken_by: MessageId,
    /// Sort key and number of parts of the letter that was kept.
    letter: Option<(String, usize)>,
}

#[derive(Debug, PartialEq, Eq)]
enum RowState {
    InProgress { until_ms: i64 },
    Refused,
    Accepted { engine_id: String },
}

impl Row {
    fn read(item: &Item) -> Result<Row, StoreError> {
        let reader = Reader(item);
        let state = match reader.text("state")? {
            "in-progress" => RowState::InProgress { until_ms: reader.number("in-progress-until")? },
            "refused" => RowState::Refused,
            "accepted" => RowState::Accepted { engine_id: reader.text("engine-id")?.to_owned() },
            _ => return Err(reader.fault("state", "is a word we do not know")),
        };
        let parts = reader.number_or_none("letter-parts")?.unwrap_or(0);
        Ok(Row {
            body_hash: reader.hash("body-hash")?,
            message_id: reader.parsed("message-id")?,
            state,
            taken_by: reader.parsed("taken-by")?,
            letter: reader.text_or_none("letter")?.map(|sk| (sk.to_owned(), parts)),
        })
    }
}

impl Messages {
    /// Begins a publish under an idempotency key: of any number of simultaneous calls exactly one is told
    /// [`Begun::New`] or [`Begun::Resume`], and owns the row for `in_progress_secs`.
    ///
    /// `message_id` must be new for every call: it becomes the message's id if nobody was here before, and tells this
    /// call's own writes from others' in any case. A row answers for 24 h after it was last taken or accepted.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn begin(
        &self,
        row: &IdempotencyKey,
        body_hash: [u8; 32],
        message_id: MessageId,
        in_progress_secs: u32,
    ) -> Result<Begun, MessagesError> {
        for _ in 0..LOOKS {
            let Some(seen) = self.take_free(row, body_hash, message_id, in_progress_secs).await? else {
                return Ok(Begun::New { message_id });
            };
            if seen.taken_by == message_id && seen.message_id == message_id {
                return Ok(Begun::New { message_id });
            }
            if seen.body_hash != body_hash {
                return Ok(Begun::OtherBody);
            }
            match &seen.state {
                RowState::Accepted { engine_id } => {
                    return Ok(Begun::Accepted { message_id: seen.message_id, engine_id: engine_id.clone() });
                }
                RowState::InProgress { until_ms }
                    if seen.taken_by != message_id && *until_ms > self.now_ms() =>
                {
                    let wait_secs = (until_ms - self.now_ms() + 999) / 1000;
                    let retry_after_secs = u32::try_from(wait_secs).unwrap_or(1).max(1);
                    return Ok(Begun::InProgress { retry_after_secs });
                }
                _ => {
                    if seen.taken_by == message_id
                        || self.take_over(row, &seen, message_id, in_progress_secs).await?
                    {
                        let letter = seen.letter.map(|_| seen.message_id.to_string());
                        return Ok(Begun::Resume { message_id: seen.message_id, letter });
                    }
                }
            }
        }
        Err(StoreError::Busy { operation: "begin a publish" }.into())
    }

    /// Writes a new row where there is none, or one whose 24 h are over; else answers what is there.
    async fn take_free(
        &self,
        row: &IdempotencyKey,
        body_hash: [u8; 32],
        message_id: MessageId,
        in_progress_secs: u32,
    ) -> Result<Option<Row>, StoreError> {
        const OPERATION: &str = "begin a publish";
        let item = Writer::new(&row.pk(), SK)
            .set("body-hash", bytes(&body_hash))
            .set("message-id", text(message_id))
            .set("state", text("in-progress"))
            .set("in-progress-until", number(self.now_ms() + i64::from(in_progress_secs) * 1000))
            .set("taken-by", text(message_id))
            .set(TTL, number(self.secs_from_now(KEPT_SECS)))
            .done();
        let call = self
            .table
            .client
            .put_item()
            .table_name(&self.table.name)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR #ttl <= :now")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":now", number(self.secs_from_now(0)))
            .return_values_on_condition_check_failure(AllOld);
        match patiently(|| call.clone().send(), held_by_a_transaction).await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let item = failed.item().ok_or(StoreError::Busy { operation: OPERATION })?;
                    Row::read(item).map(Some)
                }
                _ => Err(StoreError::from_call(OPERATION, error)),
            },
        }
    }

    /// Takes a row that was refused or whose taker was cut off, if it is still as it was seen.
    async fn take_over(
        &self,
        row: &IdempotencyKey,
        seen: &Row,
        message_id: MessageId,
        in_progress_secs: u32,
    ) -> Result<bool, StoreError> {
        let state = match seen.state {
            RowState::InProgress { .. } => "in-progress",
            RowState::Refused => "refused",
            RowState::Accepted { .. } => return Ok(false),
        };
        let update = Expression::new("SET #state = :state, #until = :until, #taken = :me, #ttl = :ttl")
            .name("#until", "in-progress-until")
            .name("#ttl", TTL)
            .value(":state", text("in-progress"))
            .value(":until", number(self.now_ms() + i64::from(in_progress_secs) * 1000))
            .value(":me", text(message_id))
            .value(":ttl", number(self.secs_from_now(KEPT_SECS)));
        let condition = Expression::new("#state = :seen AND #taken = :taken")
            .name("#state", "state")
            .name("#taken", "taken-by")
            .value(":seen", text(state))
            .value(":taken", text(seen.taken_by));
        match self.update_row("begin a publish", row, update, condition).await? {
            Changed::Done => Ok(true),
            // Our own write, whose answer was lost on the wire.
            Changed::Not(Some(item)) => Ok(Row::read(&item)?.taken_by == message_id),
            Changed::Not(None) => Ok(false),
        }
    }

    /// Marks the publish as accepted by the engine under `engine_id`, and closes the letter that an earlier refusal left.
    /// What was accepted before stays as it was.
    ///
    /// # Errors
    /// The store's alone; the message is on its queue all the same.
    pub async fn accepted(&self, row: &IdempotencyKey, engine_id: &str) -> Result<(), MessagesError> {
        const OPERATION: &str = "mark a publish as accepted";
        let mark = || {
            Expression::new("SET #state = :accepted, #engine = :engine, #ttl = :ttl")
                .name("#state", "state")
                .name("#engine", "engine-id")
                .name("#ttl", TTL)
                .value(":accepted", text("accepted"))
                .value(":engine", text(engine_id))
                .value(":ttl", number(self.secs_from_now(KEPT_SECS)))
        };
        let open = || Expression::new("attribute_exists(pk) AND #state <> :accepted");
        let mut without_letter = open().name("#letter", "letter");
        without_letter.text.push_str(" AND attribute_not_exists(#letter)");
        let Changed::Not(Some(item)) = self.update_row(OPERATION, row, mark(), without_letter).await? else {
            // Done; or the row is gone, and with it all that there was to mark.
            return Ok(());
        };
        let seen = Row::read(&item)?;
        let (RowState::InProgress { .. } | RowState::Refused, Some((sk, parts))) =
            (&seen.state, &seen.letter)
        else {
            return Ok(());
        };
        let mut actions =
            vec![Action::Update { pk: row.pk(), sk: SK.to_owned(), update: mark(), condition: open() }];
        actions.extend(self.closing(&seen.message_id.to_string(), sk, *parts));
        match self.table.transact(OPERATION, actions).await {
            Ok(()) => Ok(()),
            Err(Undone::Store(error)) => Err(error.into()),
            // Another call marked it, or the letter is gone: then only the row is left to mark.
            Err(Undone::Conditions(_)) => {
                self.update_row(OPERATION, row, mark(), open()).await?;
                Ok(())
            }
        }
    }

    /// Marks the publish as refused, so that the next call may take the row at once, and keeps `letter` of it in the same
    /// transaction. `taken_by` is the id that this call handed to [`Messages::begin`]: only who holds the row may say so.
    ///
    /// # Errors
    /// [`MessagesError::Overtaken`] when this call was so slow that another one under the key took the row, or got through
    /// (the letter is not kept: how it ends is the other's to say), [`MessagesError::TooLarge`]; the store's.
    pub async fn refused(
        &self,
        row: &IdempotencyKey,
        taken_by: MessageId,
        letter: Option<&Letter>,
    ) -> Result<(), MessagesError> {
        const OPERATION: &str = "mark a publish as refused";
        let mut update = Expression::new("SET #state = :refused").value(":refused", text("refused"));
        let mut actions = Vec::new();
        if let Some(letter) = letter {
            actions = self.keeping(letter).await?;
            update.text.push_str(", #letter = :letter, #parts = :parts");
            update = update
                .name("#letter", "letter")
                .name("#parts", "letter-parts")
                .value(":letter", text(letter_item::sk(letter)))
                .value(":parts", number(actions.len() - 1));
        }
        let condition = Expression::new("#taken = :me AND #state <> :accepted")
            .name("#state", "state")
            .name("#taken", "taken-by")
            .value(":accepted", text("accepted"))
            .value(":me", text(taken_by));
        actions.push(Action::Update { pk: row.pk(), sk: SK.to_owned(), update, condition });
        self.table.transact(OPERATION, actions).await.map_err(|undone| match undone {
            Undone::Conditions(_) => MessagesError::Overtaken,
            Undone::Store(error) => error.into(),
        })
    }

    async fn update_row(
        &self,
        operation: &'static str,
        row: &IdempotencyKey,
        update: Expression,
        condition: Expression,
    ) -> Result<Changed, StoreError> {
        let mut names = update.names;
        names.extend(condition.names);
        let mut values = update.values;
        values.extend(condition.values);
        let call = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key(&row.pk(), SK)))
            .update_expression(update.text)
            .condition_expression(condition.text)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(Some(values))
            .return_values_on_condition_check_failure(AllOld);
        match patiently(|| call.clone().send(), held_by_a_transaction).await {
            Ok(_) => Ok(Changed::Done),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Changed::Not(failed.item().cloned()))
                }
                _ => Err(StoreError::from_call(operation, error)),
            },
        }
    }
}

/// What became of a conditioned change of a row.
enum Changed {
    Done,
    /// The condition did not hold: the row as it is, if there is one.
    Not(Option<Item>),
}
