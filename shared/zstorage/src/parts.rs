/// A text up to this lies in its item, bytes; a longer one in parts of as much. An item ends at 400 KB.
pub(crate) const PART_BYTES: usize = 300 * 1024;

/// The parts of a text that does not fit into its item, cut between characters; none of one that does.
pub(crate) fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut left = if text.len() > PART_BYTES { text } else { "" };
    while !left.is_empty() {
        let (part, rest) = left.split_at(left.floor_char_boundary(PART_BYTES));
        parts.push(part);
        left = rest;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_only_where_it_must_be_and_never_within_a_character() {
        let check = |text: &str, expect: usize| {
            let parts = parts(text);
            assert_eq!(parts.len(), expect, "{} bytes", text.len());
            assert!(parts.is_empty() || parts.concat() == text);
            assert!(parts.iter().all(|part| part.len() <= PART_BYTES));
        };
        check("", 0);
        check("x", 0);
        check(&"x".repeat(299 * 1024), 0);
        check(&"x".repeat(300 * 1024), 0);
        check(&"x".repeat(300 * 1024 + 1), 2);
        check(&"x".repeat(301 * 1024), 2);
        check(&"漢".repeat(300 * 1024), 3);
        check(&format!("x{}", "漢".repeat(200 * 1024)), 3);
        check(&"x".repeat(1024 * 1024), 4);
    }
}
