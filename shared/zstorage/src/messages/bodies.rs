//! Bodies that no SQS message can carry: empty, binary, of forbidden characters, too large. A message that has one names it
//! by its address.
//!
//! One lies under its message's pk: its head at `b#HASH`, a longer one in parts `b#HASH#000` ... beside it. The head is written
//! last, so a body whose head is there is there as a whole; and what it is called follows from what it says, so to keep one
//! again changes nothing.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use domain::hex;
use futures::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::{Messages, MessagesError, TTL, message_pk};
use crate::StoreError;
use crate::item::{Item, Reader, Writer, bytes, number};
use crate::parts::PART_BYTES;
use crate::table::{held_by_a_transaction, patiently};

/// Longer than any message waits on a queue, seconds.
const KEPT_SECS: i64 = 30 * 24 * 3600;

/// Parts on their way at once.
const AT_ONCE: usize = 4;

/// How long a body is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// As long as its message may be on its way.
    OnItsWay,
    /// As long as its letter, which waits for a person.
    WithItsLetter,
}

impl Messages {
    /// Keeps the body of a message for 30 days, or as long as its letter where that has it already, and answers its address. It
    /// may be kept again at any time.
    ///
    /// # Errors
    /// The store's alone; some parts may be kept all the same.
    pub async fn keep_body(&self, message_id: &str, body: &[u8]) -> Result<String, MessagesError> {
        self.keep_body_for(message_id, body, Kept::OnItsWay).await
    }

    /// Where the body of a message lies once it is kept, by [`Messages::keep_body`] or with its letter.
    pub fn body_address(message_id: &str, body: &[u8]) -> String {
        format!("{message_id}#{}", hex(&Sha256::digest(body)))
    }

    /// The body that is kept at this address; `None` where none is, or not any more.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn body(&self, at: &str) -> Result<Option<Vec<u8>>, MessagesError> {
        const OPERATION: &str = "read a kept body";
        let Some((message_id, hash)) = at.rsplit_once('#') else { return Ok(None) };
        let (pk, sk) = (message_pk(message_id), head_sk(hash));
        let Some(head) = self.table.get(OPERATION, &pk, &sk).await? else { return Ok(None) };
        let reader = Reader(&head);
        let parts = reader.number("parts")?;
        let body = if parts == 0 {
            reader.bytes_or_none("body")?.map(<[u8]>::to_vec)
        } else {
            let read = async |at| self.table.get(OPERATION, &pk, &part_sk(hash, at)).await;
            let items: Vec<Option<Item>> =
                stream::iter(0..parts).map(read).buffered(AT_ONCE).try_collect().await?;
            let mut parts = Vec::new();
            for item in &items {
                // A part may be cleaned away before its head.
                let Some(item) = item else { return Ok(None) };
                parts.push(Reader(item).bytes_or_none("part")?.unwrap_or_default());
            }
            Some(parts.concat())
        };
        match body {
            Some(body) if hex(&Sha256::digest(&body)) != hash => {
                Err(reader.fault("body", "is not the one that it is called").into())
            }
            body => Ok(body),
        }
    }

    /// As [`Messages::keep_body`], for so long.
    pub(super) async fn keep_body_for(
        &self,
        message_id: &str,
        body: &[u8],
        kept: Kept,
    ) -> Result<String, MessagesError> {
        let (at, pk) = (Messages::body_address(message_id, body), message_pk(message_id));
        let hash = at.rsplit_once('#').map_or("", |(_, hash)| hash);
        let ttl = match kept {
            Kept::OnItsWay => Some(number(self.secs_from_now(KEPT_SECS))),
            Kept::WithItsLetter => None,
        };
        let writer = |sk: &str| Writer::new(&pk, sk).set_some(TTL, ttl.clone());
        let parts: Vec<&[u8]> = body.chunks(PART_BYTES).collect();
        let head = writer(&head_sk(hash));
        if let [] | [_] = parts[..] {
            self.keep(head.set("parts", number(0)).set("body", bytes(body)).done()).await?;
            return Ok(at);
        }
        let count = parts.len();
        let items = parts.into_iter().enumerate();
        let items = items.map(|(at, part)| writer(&part_sk(hash, at)).set("part", bytes(part)).done());
        let items: Vec<Item> = items.collect();
        stream::iter(items.into_iter().map(|item| self.keep(item)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.keep(head.set("parts", number(count)).done()).await?;
        Ok(at)
    }

    /// Puts one item, unless it is there and kept for longer: what it holds is the same.
    async fn keep(&self, item: Item) -> Result<(), StoreError> {
        let lasts = !item.contains_key(TTL);
        let mut call = self.table.client.put_item().table_name(&self.table.name).set_item(Some(item));
        if !lasts {
            call = call
                .condition_expression("attribute_not_exists(pk) OR attribute_exists(#ttl)")
                .expression_attribute_names("#ttl", TTL);
        }
        match patiently(|| call.clone().send(), held_by_a_transaction).await {
            Ok(_) => Ok(()),
            Err(error)
                if matches!(
                    error.as_service_error(),
                    Some(PutItemError::ConditionalCheckFailedException(_))
                ) =>
            {
                Ok(())
            }
            Err(error) => Err(StoreError::from_call("keep a body", error)),
        }
    }
}

fn head_sk(hash: &str) -> String {
    format!("b#{hash}")
}

fn part_sk(hash: &str, at: usize) -> String {
    format!("b#{hash}#{at:03}")
}
