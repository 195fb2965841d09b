//! What one evaluation may take, beyond what the text's own bounds say: the values of a record may be as long as the record.

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
