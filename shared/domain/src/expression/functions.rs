//! The functions an expression may call, under names that cannot be written: the check has put them where they belong.

use std::sync::{Arc, LazyLock};

use cel::common::functions::Function;
use cel::common::types::{CelBool, CelDouble, CelInt, CelString, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, Zoned};

use super::cost::Matching;
use super::values::{DecimalVal, Moment, Pattern, Span, decimal, decimal_of, failed};
use crate::Decimal;

/// A text that an expression makes has at most this many bytes.
const MAX_MADE_TEXT_BYTES: usize = 64 * 1024;

type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// The environment every expression runs in.
pub(super) static ENVIRONMENT: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut env = Env::default();
    let functions: [(&str, usize, Function); 27] = [
        ("@add", 2, add),
        ("@decimal", 1, to_decimal),
        ("decimal", 1, decimal_from),
        ("int", 1, int_from),
        ("double", 1, double_from),
        ("string", 1, string_from),
        ("timestamp", 1, timestamp_from),
        ("duration", 1, duration_from),
        ("size", 1, size),
        ("startsWith", 2, starts_with),
        ("endsWith", 2, ends_with),
        ("contains", 2, contains),
        ("matches", 3, matches),
        ("lowerAscii", 1, lower_ascii),
        ("upperAscii", 1, upper_ascii),
        ("trim", 1, trim),
        ("@range", 2, range),
        ("getFullYear", 1, |args| part(&args, |at| i64::from(at.year()))),
        ("getMonth", 1, |args| part(&args, |at| i64::from(at.month()) - 1)),
        ("getDate", 1, |args| part(&args, |at| i64::from(at.day()))),
        ("getDayOfMonth", 1, |args| part(&args, |at| i64::from(at.day()) - 1)),
        ("getDayOfWeek", 1, |args| part(&args, |at| i64::from(at.weekday().to_sunday_zero_offset()))),
        ("getDayOfYear", 1, |args| part(&args, |at| i64::from(at.day_of_year()) - 1)),
        ("getHours", 1, |args| part(&args, |at| i64::from(at.hour()))),
        ("getMinutes", 1, |args| part(&args, |at| i64::from(at.minute()))),
        ("getSeconds", 1, |args| part(&args, |at| i64::from(at.second()))),
        ("getMilliseconds", 1, |args| part(&args, |at| i64::from(at.millisecond()))),
    ];
    for (name, count, function) in functions {
        let types = std::iter::repeat_with(|| DYN_TYPE).take(count).collect();
        env.add_overload(name, name, types, function).expect("each function is declared once");
    }
    Arc::new(env)
});

/// The first argument; the check has counted them.
fn first<'a, 'b, 'v>(args: &'a [CowVal<'b, 'v>]) -> &'a (dyn Val + 'v) {
    args[0].as_ref()
}

fn wrong(function: &str, args: &[CowVal<'_, '_>]) -> ExecutionError {
    let kinds = args.iter().map(|arg| arg.get_type().name().to_owned()).collect();
    ExecutionError::no_such_overload(function, kinds)
}

/// Both arguments as texts.
fn texts<'a>(function: &str, args: &'a [CowVal<'_, '_>]) -> Result<(&'a str, &'a str), ExecutionError> {
    match (args[0].downcast_ref::<CelString<'_>>(), args[1].downcast_ref::<CelString<'_>>()) {
        (Some(left), Some(right)) => Ok((left.inner(), right.inner())),
        _ => Err(wrong(function, args)),
    }
}

fn boolean<'b, 'v>(is: bool) -> Outcome<'b, 'v> {
    Ok(CowVal::owned(CelBool::from(is)))
}

fn integer<'b, 'v>(number: i64) -> Outcome<'b, 'v> {
    Ok(CowVal::owned(CelInt::from(number)))
}

fn text<'b, 'v>(text: String) -> Outcome<'b, 'v> {
    Ok(CowVal::owned(CelString::from(text)))
}

fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let Ok((left, right)) = texts("_+_", &args) {
        if left.len() + right.len() > MAX_MADE_TEXT_BYTES {
            return Err(failed("a text that an expression makes has at most 64 KiB"));
        }
        return text(format!("{left}{right}"));
    }
    let adder = first(&args).as_adder().ok_or_else(|| wrong("_+_", &args))?;
    Ok(CowVal::Owned(adder.add(args[1].as_ref())?.into_owned()))
}

/// A whole number beside decimals; what is no number stays as it is, so that null is still null.
fn to_decimal<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    match args[0].downcast_ref::<CelInt>() {
        Some(number) => Ok(CowVal::owned(DecimalVal(Decimal::from(*number.inner())))),
        None => Ok(args.swap_remove(0)),
    }
}

fn decimal_from<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let Some(number) = decimal_of(first(&args)) {
        return decimal(Ok(number));
    }
    if let Some(number) = first(&args).downcast_ref::<CelDouble>() {
        return decimal(number.inner().to_string().parse());
    }
    match first(&args).downcast_ref::<CelString<'_>>() {
        Some(digits) => decimal(digits.inner().parse()),
        None => Err(wrong("decimal", &args)),
    }
}

fn int_from<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let beyond = || failed("this is beyond the whole numbers of 64 bits");
    let value = first(&args);
    if let Some(number) = decimal_of(value) {
        let fraction = number.remainder(&Decimal::from(1)).map_err(failed)?;
        let whole = number.subtract(&fraction).map_err(failed)?;
        return integer(whole.to_i64().ok_or_else(beyond)?);
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        let number = number.inner().trunc();
        let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
        return if fits { integer(number as i64) } else { Err(beyond()) };
    }
    if let Some(at) = value.downcast_ref::<Moment>() {
        return integer(at.0.as_second());
    }
    match value.downcast_ref::<CelString<'_>>() {
        Some(digits) => integer(digits.inner().parse().map_err(|_| failed("this text is no whole number"))?),
        None => Err(wrong("int", &args)),
    }
}

fn double_from<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let value = first(&args);
    let read = |digits: &str| digits.parse::<f64>().ok().filter(|d| d.is_finite());
    let double = if let Some(number) = decimal_of(value) {
        read(&number.to_string())
    } else if let Some(number) = value.downcast_ref::<CelDouble>() {
        Some(*number.inner())
    } else {
        read(value.downcast_ref::<CelString<'_>>().ok_or_else(|| wrong("double", &args))?.inner())
    };
    Ok(CowVal::owned(CelDouble::from(double.ok_or_else(|| failed("this is no double"))?)))
}

fn string_from<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let value = first(&args);
    if let Some(number) = decimal_of(value) {
        return text(number.to_string());
    }
    if let Some(number) = value.downcast_ref::<CelDouble>() {
        return text(number.inner().to_string());
    }
    if let Some(is) = value.downcast_ref::<CelBool>() {
        return text(is.inner().to_string());
    }
    if let Some(at) = value.downcast_ref::<Moment>() {
        return text(at.0.to_string());
    }
    if value.downcast_ref::<CelString<'_>>().is_some() {
        return Ok(args.swap_remove(0));
    }
    Err(wrong("string", &args))
}

fn timestamp_from<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let value = first(&args);
    let at = if let Some(at) = value.downcast_ref::<Moment>() {
        at.0
    } else if let Some(seconds) = value.downcast_ref::<CelInt>() {
        Timestamp::from_second(*seconds.inner())
            .map_err(|_| failed("this date-time is beyond the calendar"))?
    } else {
        let text = value.downcast_ref::<CelString<'_>>().ok_or_else(|| wrong("timestamp", &args))?;
        read_moment(text.inner()).ok_or_else(|| failed("this is no date-time as in RFC 3339"))?
    };
    Ok(CowVal::owned(Moment(at)))
}

fn duration_from<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let Some(span) = first(&args).downcast_ref::<Span>() {
        return Ok(CowVal::owned(*span));
    }
    let text = first(&args).downcast_ref::<CelString<'_>>().ok_or_else(|| wrong("duration", &args))?;
    let span = read_span(text.inner()).ok_or_else(|| failed("this is no duration: say it like '1h30m'"))?;
    Ok(CowVal::owned(Span(span)))
}

/// RFC 3339 with an offset.
pub(super) fn read_moment(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// `90s`, `1h30m`, `-1.5h`, `250ms`: as CEL has it.
pub(super) fn read_span(text: &str) -> Option<SignedDuration> {
    let plain = text.strip_prefix('-').unwrap_or(text);
    let starts_with_digit = plain.starts_with(|c: char| c.is_ascii_digit());
    let units = plain.bytes().all(|b| b.is_ascii_digit() || b".hmsun".contains(&b));
    (starts_with_digit && units).then(|| text.parse().ok()).flatten()
}

fn size<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    if let Some(text) = first(&args).downcast_ref::<CelString<'_>>() {
        return integer(i64::try_from(text.inner().chars().count()).unwrap_or(i64::MAX));
    }
    Ok(CowVal::owned(first(&args).as_sizer().ok_or_else(|| wrong("size", &args))?.size()))
}

fn starts_with<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let (text, part) = texts("startsWith", &args)?;
    boolean(text.starts_with(part))
}

fn ends_with<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let (text, part) = texts("endsWith", &args)?;
    boolean(text.ends_with(part))
}

fn contains<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let (text, part) = texts("contains", &args)?;
    boolean(text.contains(part))
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let (pattern, matching) = (args[1].downcast_ref::<Pattern>(), args[2].downcast_ref::<Matching>());
    match (first(&args).downcast_ref::<CelString<'_>>(), pattern, matching) {
        (Some(text), Some(pattern), Some(matching)) => {
            if !matching.take(text.inner().len(), pattern.bytes) {
                return Err(failed("the texts here are too long for the patterns of matches()"));
            }
            boolean(pattern.regex.is_match(text.inner()))
        }
        _ => Err(wrong("matches", &args[..1])),
    }
}

/// The argument as a text, turned into another.
fn turned<'b, 'v>(name: &str, args: &[CowVal<'b, 'v>], turn: impl Fn(&str) -> String) -> Outcome<'b, 'v> {
    let given = first(args).downcast_ref::<CelString<'_>>().ok_or_else(|| wrong(name, args))?;
    text(turn(given.inner()))
}

fn lower_ascii<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    turned("lowerAscii", &args, str::to_ascii_lowercase)
}

fn upper_ascii<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    turned("upperAscii", &args, str::to_ascii_uppercase)
}

fn trim<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    turned("trim", &args, |text| text.trim().to_owned())
}

/// What a comprehension goes over, if it is not more than the limit beside it.
fn range<'b, 'v>(mut args: Vec<CowVal<'b, 'v>>) -> Outcome<'b, 'v> {
    let limit = args[1].downcast_ref::<CelInt>().map_or(0, |limit| *limit.inner());
    let sizer = first(&args).as_sizer().ok_or_else(|| wrong("all, exists, map or filter", &args[..1]))?;
    if *sizer.size().inner() > limit {
        return Err(failed(format!("all, exists, map and filter go over at most {limit} elements here")));
    }
    Ok(args.swap_remove(0))
}

fn part<'b, 'v>(args: &[CowVal<'b, 'v>], of: fn(&Zoned) -> i64) -> Outcome<'b, 'v> {
    let at = first(args).downcast_ref::<Moment>().ok_or_else(|| wrong("a part of a timestamp", args))?;
    integer(of(&at.0.to_zoned(TimeZone::UTC)))
}
