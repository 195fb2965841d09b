use std::fmt;
use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, Signed, ToPrimitive, Zero};

/// Digits that a decimal may have: what DynamoDB keeps.
pub const MAX_DECIMAL_DIGITS: u64 = 38;

/// The largest power of ten, either way.
const MAX_MAGNITUDE: u64 = 125;

/// A decimal number that is kept exactly, from the caller's text to the table and back: at most 38 significant digits, within
/// 10^-125 to 10^125. Equal numbers are equal and written alike: `1.50` is `1.5`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Decimal(BigDecimal);

/// A text or a result that is not a decimal we keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a number at all.
    #[error("this is not a decimal number: say it like -12.50")]
    Form,
    /// More digits than are kept.
    #[error("this number has more than 38 digits, so it cannot be kept exactly")]
    TooManyDigits,
    /// Too large or too small.
    #[error("this number is beyond 10^125 or below 10^-125")]
    OutOfRange,
    /// No number is the answer.
    #[error("a division by zero")]
    DivisionByZero,
    /// The quotient does not end.
    #[error("this quotient has no end within 38 digits")]
    Inexact,
}

impl Decimal {
    /// Zero.
    pub fn zero() -> Decimal {
        Decimal(BigDecimal::zero())
    }

    /// Keeps `number` in its one form, if it can be kept.
    fn kept(number: BigDecimal) -> Result<Decimal, DecimalError> {
        let number = number.normalized();
        if number.is_zero() {
            return Ok(Decimal::zero());
        }
        let digits = number.digits();
        if digits > MAX_DECIMAL_DIGITS {
            return Err(DecimalError::TooManyDigits);
        }
        let (_, scale) = number.as_bigint_and_exponent();
        let magnitude = i64::try_from(digits).unwrap_or(i64::MAX).saturating_sub(scale).saturating_sub(1);
        if magnitude.unsigned_abs() > MAX_MAGNITUDE {
            Err(DecimalError::OutOfRange)
        } else {
            Ok(Decimal(number))
        }
    }

    /// A number of few digits, as most are, without the detour over big ones: JSON may have a hundred thousand of them.
    fn short(negative: bool, whole: &str, fraction: &str) -> Option<Decimal> {
        if whole.len() + fraction.len() > 18 {
            return None;
        }
        let digit = |number: i64, digit: u8| number * 10 + i64::from(digit - b'0');
        let mut number = whole.bytes().chain(fraction.bytes()).fold(0, digit);
        let mut scale = i64::try_from(fraction.len()).ok()?;
        while number != 0 && number % 10 == 0 {
            (number, scale) = (number / 10, scale - 1);
        }
        match number {
            0 => Some(Decimal::zero()),
            _ => Some(Decimal(BigDecimal::new(BigInt::from(if negative { -number } else { number }), scale))),
        }
    }

    /// Any other number.
    fn long(sign: &str, whole: &str, fraction: &str, exponent: &str) -> Result<Decimal, DecimalError> {
        if whole.is_empty() && fraction.is_empty() {
            return Ok(Decimal::zero());
        }
        // Before the big number is made: 1e999999999 must not be written out.
        let is_far = exponent.parse::<i64>().map_or(true, |exponent| exponent.unsigned_abs() > 1000);
        if is_far || whole.len() + fraction.len() > 400 {
            return Err(DecimalError::OutOfRange);
        }
        let text = format!("{sign}0{whole}.{fraction}0e{exponent}");
        Decimal::kept(text.parse().map_err(|_| DecimalError::Form)?)
    }

    /// The sum, exact.
    pub fn add(&self, other: &Decimal) -> Result<Decimal, DecimalError> {
        Decimal::kept(&self.0 + &other.0)
    }

    /// The difference, exact.
    pub fn subtract(&self, other: &Decimal) -> Result<Decimal, DecimalError> {
        Decimal::kept(&self.0 - &other.0)
    }

    /// The product, exact.
    pub fn multiply(&self, other: &Decimal) -> Result<Decimal, DecimalError> {
        Decimal::kept(&self.0 * &other.0)
    }

    /// The quotient, if it ends within 38 digits: a rounded price would be a wrong one.
    pub fn divide(&self, other: &Decimal) -> Result<Decimal, DecimalError> {
        if other.0.is_zero() {
            return Err(DecimalError::DivisionByZero);
        }
        let quotient = (&self.0 / &other.0).with_prec(MAX_DECIMAL_DIGITS);
        if &quotient * &other.0 == self.0 { Decimal::kept(quotient) } else { Err(DecimalError::Inexact) }
    }

    /// What is left after division by `other`, with the sign of `self`.
    pub fn remainder(&self, other: &Decimal) -> Result<Decimal, DecimalError> {
        if other.0.is_zero() {
            return Err(DecimalError::DivisionByZero);
        }
        Decimal::kept(&self.0 % &other.0)
    }

    /// The opposite number.
    #[must_use]
    pub fn negate(&self) -> Decimal {
        Decimal(-&self.0)
    }

    /// The same number as an integer, where it is one that fits.
    pub fn to_i64(&self) -> Option<i64> {
        self.0.is_integer().then(|| self.0.to_i64()).flatten()
    }

    /// Digits behind the point.
    pub fn decimal_places(&self) -> u64 {
        let (_, scale) = self.0.as_bigint_and_exponent();
        u64::try_from(scale).unwrap_or(0)
    }

    /// Written with exactly this many digits behind the point, or more where the number has more.
    pub fn to_fixed(&self, places: u8) -> String {
        let places = self.decimal_places().max(u64::from(places));
        self.0.with_scale(i64::try_from(places).unwrap_or(i64::MAX)).to_plain_string()
    }

    /// `(is negative, power of ten of the first digit, the significant digits)`; zero has no digits. For keys that sort as numbers do.
    pub fn parts(&self) -> (bool, i64, String) {
        if self.0.is_zero() {
            return (false, 0, String::new());
        }
        let (digits, scale): (BigInt, i64) = self.0.as_bigint_and_exponent();
        let text = digits.abs().to_string();
        let power = text.len() as i64 - scale - 1;
        (self.0.is_negative(), power, text)
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Decimal {
        Decimal(BigDecimal::from(number).normalized())
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads `-12.50`, also `1e3`; not `+1`, `.5`, `5.`, `0x1`, `1_000` or blanks.
    fn from_str(text: &str) -> Result<Decimal, DecimalError> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (mantissa, None),
        };
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let exponent_fits = exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)));
        if !digits(whole) || !fraction.is_none_or(digits) || !exponent_fits {
            return Err(DecimalError::Form);
        }
        // Zeros at the ends say nothing, however many: 0e99999 is zero, 1.000 is one.
        let (whole, fraction) =
            (whole.trim_start_matches('0'), fraction.unwrap_or_default().trim_end_matches('0'));
        let sign = if text.starts_with('-') { "-" } else { "" };
        let Some(exponent) = exponent else {
            return Decimal::short(!sign.is_empty(), whole, fraction)
                .map_or_else(|| Decimal::long(sign, whole, fraction, "0"), Ok);
        };
        Decimal::long(sign, whole, fraction, exponent)
    }
}

impl fmt::Display for Decimal {
    /// Plain digits, no exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decimal({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_decimal_is_read_and_written_in_its_one_form() {
        let check = |text: &str, expect: Result<&str, DecimalError>| {
            let read = text.parse::<Decimal>().map(|d| d.to_string());
            assert_eq!(read.as_deref().map_err(|e| *e), expect, "{text}");
        };
        check("0", Ok("0"));
        check("-0", Ok("0"));
        check("1.50", Ok("1.5"));
        check("100", Ok("100"));
        check("1e3", Ok("1000"));
        check("1.5E-3", Ok("0.0015"));
        check("12345678901234567890123456789012345678", Ok("12345678901234567890123456789012345678"));
        check("0.12345678901234567890123456789012345678", Ok("0.12345678901234567890123456789012345678"));
        check("123456789012345678901234567890123456789", Err(DecimalError::TooManyDigits));
        check("1e125", Ok(&format!("1{}", "0".repeat(125))));
        check("1e126", Err(DecimalError::OutOfRange));
        check("1e-126", Err(DecimalError::OutOfRange));
        check("1e999999999999", Err(DecimalError::OutOfRange));
        check("1e-9223372036854775808", Err(DecimalError::OutOfRange));
        check("0e-9223372036854775808", Ok("0"));
        check("-0.0e99999", Ok("0"));
        check(&format!("1.{}", "0".repeat(500)), Ok("1"));
        check(&format!("{}1.5e+2", "0".repeat(500)), Ok("150"));
        for wrong in
            ["", "-", "+1", ".5", "5.", "1e", "0x1", "1_0", " 1", "1 ", "NaN", "inf", "1.2.3", "--1", "１"]
        {
            check(wrong, Err(DecimalError::Form));
        }
    }

    #[test]
    fn arithmetic_is_exact_or_says_that_it_is_not() {
        assert_eq!(decimal("0.1").add(&decimal("0.2")), Ok(decimal("0.3")));
        assert_eq!(decimal("1").divide(&decimal("8")), Ok(decimal("0.125")));
        assert_eq!(decimal("1").divide(&decimal("3")), Err(DecimalError::Inexact));
        assert_eq!(decimal("1").divide(&decimal("0")), Err(DecimalError::DivisionByZero));
        assert_eq!(decimal("-7").remainder(&decimal("2")), Ok(decimal("-1")));
        let big = decimal("99999999999999999999999999999999999999");
        assert_eq!(big.add(&decimal("0.1")), Err(DecimalError::TooManyDigits));
        assert_eq!(decimal("12.5").to_fixed(2), "12.50");
        assert_eq!(decimal("12.505").to_fixed(2), "12.505");
        assert_eq!(decimal("-120.5").parts(), (true, 2, "1205".to_owned()));
        assert_eq!(decimal("0.003").parts(), (false, -3, "3".to_owned()));
        assert_eq!((decimal("5.0").to_i64(), decimal("5.5").to_i64()), (Some(5), None));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(digits in "[1-9][0-9]{0,37}", scale in 0_u32..60, negative: bool) {
            let text = format!("{}{digits}e-{scale}", if negative { "-" } else { "" });
            let read = decimal(&text);
            prop_assert_eq!(decimal(&read.to_string()), read.clone());
            prop_assert_eq!(read.negate().negate(), read);
        }

        #[test]
        fn a_short_number_is_the_same_as_by_the_long_way(text in "-?[0-9]{1,12}(\\.[0-9]{1,8})?") {
            let long: Decimal = format!("{text}e0").parse().unwrap();
            let short = decimal(&text);
            prop_assert_eq!((short.to_string(), short.parts()), (long.to_string(), long.parts()));
        }

        #[test]
        fn no_text_brings_it_down(text in "[-+0-9.eE]{0,12}") {
            let _ = text.parse::<Decimal>();
        }
    }
}
