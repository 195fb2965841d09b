//! Text as a search sees it.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A record's search text is kept up to this length, bytes.
pub(super) const MAX_FOLDED_BYTES: usize = 8 * 1024;

/// `text` without what people leave out when they search: case, accents, the width and ligatures of letters. "João" and
/// "joao" fold alike. Folding twice changes nothing.
pub fn fold(text: &str) -> String {
    let bare = |text: &str| text.nfkd().filter(|c| !is_combining_mark(*c)).collect::<String>();
    let mut folded = String::with_capacity(text.len());
    // Letter by letter: the small sigma of `to_lowercase` depends on what follows, and a part of a word must be found too.
    for c in bare(text).chars().flat_map(char::to_lowercase) {
        match plain(c) {
            Some(plain) => folded.push_str(plain),
            None => folded.push(c),
        }
    }
    // A small letter may have a mark of its own (that of the Turkish capital I).
    bare(&folded)
}

/// Letters that have no accent to take off and that people type otherwise.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'ł' => "l",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ı' => "i",
        'ς' => "σ",
        _ => return None,
    })
}

/// Cuts `text` to what is kept, at a character.
pub(super) fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(MAX_FOLDED_BYTES));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_type_finds_what_is_written() {
        let check = |text: &str, expect: &str| assert_eq!(fold(text), expect, "{text}");
        check("João", "joao");
        check("Joa\u{303}o", "joao");
        check("ÅNGSTRÖM", "angstrom");
        check("Straße", "strasse");
        check("ﬁne ＡＢＣ ½", "fine abc 1⁄2");
        check("İstanbul ISPARTA ı", "istanbul isparta i");
        check("ΟΔΟΣ οδος", "οδοσ οδοσ");
        check("Ærø Łódź", "aero lodz");
        check("東京 😀", "東京 😀");
        check("", "");
    }

    #[test]
    fn every_character_folds_to_its_end_at_once() {
        for c in '\0'..=char::MAX {
            let once = fold(c.encode_utf8(&mut [0; 4]));
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
        }
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text in any::<String>()) {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }

        #[test]
        fn a_part_of_a_text_is_found_in_its_whole(before in "[a-zà-ž ]{0,8}", part in "[a-zA-Zà-žΑ-ω]{1,8}", after in "[a-zà-ž ]{0,8}") {
            let whole = format!("{before}{part}{after}");
            prop_assert!(fold(&whole).contains(&fold(&part)));
        }
    }
}
