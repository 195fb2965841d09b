//! What one evaluation may take, beyond what the text's own bounds say: the values of a record may be as long as the record.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::scene::{EvaluationError, Scene, Slot};
use crate::Value;

/// `all`, `exists`, `map` and the like go over at most this many elements.
const MAX_ELEMENTS: usize = 1000;

/// Bytes of field values that one comprehension may look at, each as often as there are elements.
const MAX_REPEATED_BYTES: usize = 16 << 20;

/// Bytes of field values that may be copied into lists and maps. A copy of JSON takes thirty times its bytes (measured).
const MAX_COPIED_BYTES: usize = 2 << 20;

/// What the patterns of one evaluation may look at: bytes of text times bytes of compiled pattern, because matching takes time with
/// both. The worst pattern takes a third of a second for it where it is not optimised (measured).
const MAX_MATCHING: u64 = 1 << 30;

/// Bytes that expressions which are asked one after the other may look at together, so that hundreds of them cannot each take as
/// long as one may (see [`Effort`]).
const MAX_LOOKED_AT_BYTES: usize = 64 << 20;

/// A byte that is copied takes as long as so many that are looked at.
const LOOKS_PER_COPY: usize = 8;

/// A unit of matching, of which there are [`MAX_MATCHING`], takes as long as looking at a byte divided by this.
const MATCHING_PER_LOOK: u64 = 64;

/// Sizes that a compiled pattern of `matches()` counts for, bytes.
pub(super) const PATTERN_SIZES: [usize; 9] =
    [4 << 10, 8 << 10, 16 << 10, 32 << 10, 64 << 10, 128 << 10, 256 << 10, 512 << 10, 1 << 20];

/// The patterns of one expression take at most this much memory together, bytes.
pub(super) const MAX_PATTERNS_BYTES: usize = 2 << 20;

/// What an expression does with one value of the record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Uses {
    /// Whether a comprehension asks for it once per element.
    pub(super) repeated: bool,
    /// How often it is copied into a list or a map.
    pub(super) copies: usize,
    /// How often it is so copied for each element of a comprehension.
    pub(super) copies_per_element: usize,
}

/// How much matching is left to one evaluation.
#[derive(Debug, Clone)]
pub(crate) struct Matching(Arc<AtomicU64>);

impl Matching {
    pub(super) fn whole() -> Matching {
        Matching(Arc::new(AtomicU64::new(MAX_MATCHING)))
    }

    /// Takes what a text of so many bytes and a pattern of so many cost; false where that is not left.
    pub(super) fn take(&self, text_bytes: usize, pattern_bytes: usize) -> bool {
        let cost = u64::try_from(text_bytes.saturating_add(1).saturating_mul(pattern_bytes));
        let left = |left: u64| left.checked_sub(cost.unwrap_or(u64::MAX));
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
    }
}

/// What is left to several expressions that are asked about one scene.
#[derive(Debug)]
pub(crate) struct Effort(Cell<usize>);

impl Effort {
    /// All of it: one expression alone never takes so much.
    pub(crate) fn whole() -> Effort {
        Effort(Cell::new(MAX_LOOKED_AT_BYTES))
    }

    /// Takes what an expression of these parts may need at most here; its error tells that this is not left.
    pub(super) fn take(
        &self,
        (slots, uses, pattern_bytes): (&[Slot], &[Uses], usize),
        scene: &Scene<'_>,
    ) -> Result<(), EvaluationError> {
        let elements = most_elements(slots, uses, scene)?;
        let (mut looks, mut copies) = (0_usize, 0_usize);
        for (slot, uses) in slots.iter().zip(uses) {
            let bytes = bytes(slot, scene);
            looks += bytes * if uses.repeated { elements + 1 } else { 1 };
            copies += bytes * (uses.copies + uses.copies_per_element * elements);
        }
        let matching =
            u64::try_from(looks.saturating_mul(pattern_bytes)).unwrap_or(u64::MAX).min(MAX_MATCHING);
        let matching = usize::try_from(matching / MATCHING_PER_LOOK).unwrap_or(usize::MAX);
        match self.0.get().checked_sub(looks + copies * LOOKS_PER_COPY + matching) {
            Some(left) => self.0.set(left),
            None => {
                return Err(EvaluationError::new(
                    "it and those before it look at more of the record than there is time for",
                ));
            }
        }
        Ok(())
    }
}

/// How many elements a comprehension may go over here: fewer where each of them looks at long values or copies them.
pub(super) fn most_elements(
    slots: &[Slot],
    uses: &[Uses],
    scene: &Scene<'_>,
) -> Result<usize, EvaluationError> {
    let (mut repeated, mut copied, mut copied_per_element) = (0_usize, 0_usize, 0_usize);
    for (slot, uses) in slots.iter().zip(uses) {
        let bytes = bytes(slot, scene);
        repeated += if uses.repeated { bytes } else { 0 };
        copied += bytes * uses.copies;
        copied_per_element += bytes * uses.copies_per_element;
    }
    let Some(left) = MAX_COPIED_BYTES.checked_sub(copied) else {
        return Err(EvaluationError::new(
            "the values that it copies into lists and maps have more than 2 MiB here",
        ));
    };
    let elements = (MAX_REPEATED_BYTES / repeated.max(1)).min(left / copied_per_element.max(1));
    Ok(elements.min(MAX_ELEMENTS))
}

fn bytes(slot: &Slot, scene: &Scene<'_>) -> usize {
    let Slot::Field(side, field) = slot else { return 0 };
    match scene.record(*side).and_then(|record| record.get(field)) {
        Some(Value::Text(text) | Value::Json(text)) => text.len(),
        _ => 0,
    }
}
