use std::collections::HashMap;

use domain::{Letter, LetterState};

use super::bodies::Kept;
use super::{Messages, MessagesError, TTL, letter_item, message_pk};
use crate::StoreError;
use crate::item::{Item, number, text};
use crate::table::{Action, Expression, Range, Undone};

/// A closed letter is of no more use after this, seconds. An open one waits for a person, for as long as it takes.
const CLOSED_KEPT_SECS: i64 = 30 * 24 * 3600;

impl Messages {
    /// Keeps a letter, its body in parts if it is long, all in one transaction. A body that does not fit into one, or is no text, is
    /// kept beside it before, for as long as the letter. The letter of the same message, round, queue and origin, if there is
    /// one, is replaced: a worker that dies between keeping and acknowledging keeps it again.
    ///
    /// # Errors
    /// [`MessagesError::TooLarge`]; the store's.
    pub async fn keep_letter(&self, letter: &Letter) -> Result<(), MessagesError> {
        let actions = self.keeping(letter).await?;
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
        let mut letters = Vec::with_capacity(heads.len());
        for head in &heads {
            let kept = match letter_item::body_at(head)? {
                Some(at) => self.body(at).await?,
                None => None,
            };
            letters.push(letter_item::read(head, |sk| parts.get(sk).map(String::as_str), kept)?);
        }
        Ok(letters)
    }

    /// What keeps `letter` in a transaction, once that of it is kept which does not fit into one.
    pub(super) async fn keeping(&self, letter: &Letter) -> Result<Vec<Action>, MessagesError> {
        let items = letter_item::write(letter)?;
        if let Some(body) = letter_item::beside(letter) {
            self.keep_body_for(&letter.message_id, body, Kept::WithItsLetter).await?;
        }
        Ok(items.into_iter().map(|item| Action::Put(item, None)).collect())
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

/// Of a transaction without conditions.
fn unconditioned(undone: Undone) -> MessagesError {
    match undone {
        Undone::Store(error) => error.into(),
        Undone::Conditions(_) => StoreError::Busy { operation: "keep a letter" }.into(),
    }
}
