//! Patterns, bounded before, while and after they are compiled: of fields and of `matches()` alike.

use regex::{Regex, RegexBuilder};

use crate::MAX_PATTERN_BYTES;

/// While it matches, a pattern may take this much more, bytes.
const MAX_MATCHING_BYTES: usize = 1 << 20;

/// Compiles `text`, or says why not. The smallest of `sizes` (bytes, ascending) that it fits in is what it counts for: it is taken
/// out of `room` and stands beside it.
pub(crate) fn compile_pattern(
    text: &str,
    sizes: &[usize],
    room: &mut usize,
) -> Result<(Regex, usize), String> {
    // Before compiling: the time that takes is not bounded by the size of what comes out.
    if text.len() > MAX_PATTERN_BYTES {
        return Err(format!("a pattern has at most {MAX_PATTERN_BYTES} bytes, this one has {}", text.len()));
    }
    for &size in sizes {
        if size > *room {
            return Err("the patterns are too large together".to_owned());
        }
        let mut builder = RegexBuilder::new(text);
        match builder.size_limit(size).dfa_size_limit(MAX_MATCHING_BYTES).nest_limit(32).build() {
            Ok(pattern) => {
                *room -= size;
                return Ok((pattern, size));
            }
            Err(regex::Error::CompiledTooBig(_)) => {}
            // The last line of the crate's message says what is wrong, those before draw it.
            Err(other) => {
                let said = other.to_string();
                let reason = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
                return Err(format!("this is not a pattern: {reason}"));
            }
        }
    }
    Err("this pattern is too large once its repetitions are written out".to_owned())
}
