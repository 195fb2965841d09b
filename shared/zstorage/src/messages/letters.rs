use std::collections::HashMap;

use domain::{Letter, LetterState};

use super::{Messages, MessagesError, TTL, letter_item, message_pk};
use crate::StoreError;
use crate::item::{Item, number, text};
use crate::table::{Action, Expression, Range, Undone};

/// A closed letter is of no more use after this, seconds. An open one waits for a person, for as long as it takes.
const CLOSED_KEPT_SECS: i64 = 30 * 24 * 3600;

impl Messages {
    /// Keeps a letter, its body in parts if it is long, all in one transaction. The letter of the same message, round,
    /// queue and origin, if there is one, is replaced: a worker that dies between keeping and acknowledging keeps it again.
    ///
    /// # Errors
    /// [`MessagesError::TooLarge`]; the store's.
    pub async fn keep_letter(&self, letter: &Letter) -> Result<(), MessagesError> {
        let actions = keeping(letter)?;
        self.table.transact("keep a letter", actions).await.map_err(unconditioned)
    }

    /// All letters of a message with their bodies, rounds in order; none is an empty list.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn letters(&self, message_id: &str) -> Result<Vec<Letter>, MessagesError> {
        let pk = message_pk(message_id);
        let mut items: Vec<Item> = Vec::new();
        let mut after = None;
        loop {
            let range = Range { from: letter_item::FROM, after: after.as_deref() };
            let (page, last) = self.table.query("read letters", &pk, &range, None, None).await?;
            items.extend(page);
            if last.is_none() {
                break;
            }
            after = last;
        }
        let text_of =
            |item: &'_ Item, name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let (heads, parts): (Vec<Item>, Vec<Item>) = items
            .into_iter()
            .partition(|item| text_of(item, "sk").is_some_and(|sk| sk.starts_with(letter_item::FROM)));
        let parts: HashMap<String, String> =
            parts.iter().filter_map(|item| Some((text_of(item, "sk")?, text_of(item, "part")?))).collect();
        let read = |head: &Item| letter_item::read(head, |sk| parts.get(sk).map(String::as_str));
        Ok(heads.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// What closes the letter at `sk` in a transaction: it and its `parts` go, after a while.
    pub(super) fn closing(&self, message_id: &str, sk: &str, parts: usize) -> Vec<Action> {
        let ttl = number(self.secs_from_now(CLOSED_KEPT_SECS));
        let head = Action::Update {
            pk: message_pk(message_id),
            sk: sk.to_owned(),
            update: Expression::new("SET #state = :closed, #ttl = :ttl")
                .name("#state", "state")
                .name("#ttl", TTL)
                .value(":closed", text(letter_item::state_word(LetterState::Closed)))
                .value(":ttl", ttl.clone()),
            condition: Expression::present(),
        };
        let part = |at| Action::Update {
            pk: message_pk(message_id),
            sk: letter_item::part_sk(sk, at),
            update: Expression::new("SET #ttl = :ttl").name("#ttl", TTL).value(":ttl", ttl.clone()),
            condition: Expression::present(),
        };
        std::iter::once(head).chain((0..parts).map(part)).collect()
    }
}

/// What keeps `letter` in a transaction.
pub(super) fn keeping(letter: &Letter) -> Result<Vec<Action>, MessagesError> {
    Ok(letter_item::write(letter)?.into_iter().map(|item| Action::Put(item, None)).collect())
}

/// Of a transaction without conditions.
fn unconditioned(undone: Undone) -> MessagesError {
    match undone {
        Undone::Store(error) => error.into(),
        Undone::Conditions(_) => StoreError::Busy { operation: "keep a letter" }.into(),
    }
}
