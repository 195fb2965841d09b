//! Numbers that a float cannot keep.

use std::{cmp::Ordering, fmt};

use mlua::{MetaMethod, UserData, UserDataMethods, UserDataRef};

use super::{MAX_SAFE_INTEGER, room::Place};

/// An integer of so many characters is below 10^20. What a float keeps of these is written without an exponent.
const MAX_PLAIN_BYTES: usize = 20;

/// A JSON number that is kept as the text it came in: it prints and encodes exactly so, and compares by value.
pub(crate) struct Decimal {
    text: Box<str>,
    _place: Option<Place>,
}

/// 0.DIGITS times ten to the EXPONENT, without zeros at either end; zero has no digits.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Canonical {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// A number from a JSON text: a float where that loses nothing.
pub(super) enum Number {
    Float(f64),
    Decimal,
}

impl Number {
    /// Takes what the grammar of JSON numbers allows, at most 1 KiB of it.
    pub(super) fn from_json(text: &str) -> Number {
        // Short integers, the common case, need no proof.
        if text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Number::Float(text.parse().expect("digits are a number"));
        }
        // Longer integers are not written out again, see the writer.
        if text.len() > MAX_PLAIN_BYTES && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') {
            return Number::Decimal;
        }
        let value = Canonical::of(text);
        if let Ok(float) = text.parse::<f64>()
            && float.is_finite()
            && is_kept_by(float, &value)
        {
            return Number::Float(float);
        }
        Number::Decimal
    }
}

/// The integer as it is written out, where the float's own digits are so few that it was certainly meant.
pub(super) fn plain_integer(float: f64) -> Option<String> {
    let digits =
        format!("{:e}", float.abs()).split('e').next().map_or(0, |digits| digits.replace('.', "").len());
    (float.fract() == 0.0 && float.abs() < 1e20 && digits <= 15).then(|| float.to_string())
}

/// Beyond 2^53 a float that happens to be right prints as others do too, so it does not count as kept.
fn is_kept_by(float: f64, value: &Canonical) -> bool {
    let is_integer = value.exponent >= value.digits.len() as i64;
    if is_integer && float.abs() > MAX_SAFE_INTEGER && value.digits.len() > 15 {
        return false;
    }
    Canonical::of(&format!("{float:e}")) == *value
}

impl Canonical {
    fn of(text: &str) -> Canonical {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            // An exponent beyond 64 bits: as far out as can be said.
            Some((mantissa, exponent)) => {
                let limit = if exponent.starts_with('-') { i64::MIN / 4 } else { i64::MAX / 4 };
                (mantissa, exponent.parse().unwrap_or(limit).clamp(i64::MIN / 4, i64::MAX / 4))
            }
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        let digits = all.trim_start_matches('0');
        let leading = all.len() - digits.len();
        let digits = digits.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Canonical { negative: false, digits, exponent: 0 };
        }
        Canonical { negative, digits, exponent: exponent + whole.len() as i64 - leading as i64 }
    }

    fn compare(&self, other: &Canonical) -> Ordering {
        let sign = |value: &Canonical| match (value.digits.is_empty(), value.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        sign(self).cmp(&sign(other)).then_with(|| {
            let sizes = self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
            if self.negative { sizes.reverse() } else { sizes }
        })
    }
}

impl Decimal {
    /// A number that is none for a float, in its place.
    pub(super) fn new(text: &str, place: Option<Place>) -> Decimal {
        Decimal { text: text.into(), _place: place }
    }

    fn compare(&self, other: &Decimal) -> Ordering {
        Canonical::of(&self.text).compare(&Canonical::of(&other.text))
    }

    /// The number as it came.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The nearest float.
    pub(crate) fn to_float(&self) -> f64 {
        self.text.parse().unwrap_or(f64::NAN)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl UserData for Decimal {
    fn add_methods<M: UserDataMethods<Self>>(methods: &mut M) {
        methods.add_method("to_number", |_, this, ()| Ok(this.to_float()));
        methods.add_meta_method(MetaMethod::ToString, |_, this, ()| Ok(this.text.to_string()));
        methods.add_meta_method(MetaMethod::Eq, |_, this, other: UserDataRef<Decimal>| {
            Ok(this.compare(&other).is_eq())
        });
        methods.add_meta_method(MetaMethod::Lt, |_, this, other: UserDataRef<Decimal>| {
            Ok(this.compare(&other).is_lt())
        });
        methods.add_meta_method(MetaMethod::Le, |_, this, other: UserDataRef<Decimal>| {
            Ok(this.compare(&other).is_le())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_float_only_where_that_keeps_it() {
        let check = |text: &str, kept: bool| {
            assert_eq!(matches!(Number::from_json(text), Number::Float(_)), kept, "{text}");
        };
        for text in ["0", "-0", "1", "0.1", "1.10", "-12.5e3", "9007199254740992", "1e300", "123456789012345"]
        {
            check(text, true);
        }
        for text in [
            "9007199254740993",
            "12345678901234567890123",
            "0.1000000000000000055",
            "3.14159265358979323846",
            "1e400",
            "-1e-400",
            "1e99999999999999999999",
        ] {
            check(text, false);
        }
    }

    #[test]
    fn decimals_compare_by_value() {
        let check = |a: &str, b: &str, expect: Ordering| {
            assert_eq!(Canonical::of(a).compare(&Canonical::of(b)), expect, "{a} {b}");
            assert_eq!(Canonical::of(b).compare(&Canonical::of(a)), expect.reverse(), "{b} {a}");
        };
        check("1.0", "1", Ordering::Equal);
        check("1e2", "100.00", Ordering::Equal);
        check("-0", "0.000", Ordering::Equal);
        check("9007199254740993", "9007199254740992", Ordering::Greater);
        check("0.0012", "0.012", Ordering::Less);
        check("-2", "1", Ordering::Less);
        check("-20", "-3", Ordering::Less);
        check("12", "1200", Ordering::Less);
        check("0", "0.5", Ordering::Less);
    }
}
