//! The calendar, over moments that are seconds since 1970.

use jiff::{Span, Timestamp, Zoned, fmt::strtime, tz::TimeZone};

use super::refusal::Refusal;

/// Longer patterns are no pattern.
const MAX_PATTERN_BYTES: usize = 256;

fn refuse(error: impl std::fmt::Display) -> Refusal {
    Refusal::new("bad-time", error.to_string())
}

fn moment_in(moment: f64, zone: Option<&str>) -> Result<Zoned, Refusal> {
    if !moment.is_finite() || moment.abs() > 2e11 {
        return Err(refuse(format!("{moment} is no moment")));
    }
    let timestamp = Timestamp::from_microsecond((moment * 1e6).round() as i64).map_err(refuse)?;
    Ok(timestamp.to_zoned(time_zone(zone)?))
}

fn time_zone(zone: Option<&str>) -> Result<TimeZone, Refusal> {
    zone.map_or(Ok(TimeZone::UTC), |zone| TimeZone::get(zone).map_err(refuse))
}

fn seconds(timestamp: Timestamp) -> f64 {
    timestamp.as_microsecond() as f64 / 1e6
}

fn bounded(pattern: &str) -> Result<&str, Refusal> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(refuse(format!("a pattern has at most {MAX_PATTERN_BYTES} bytes")));
    }
    Ok(pattern)
}

/// RFC 3339, or by a pattern.
pub(super) fn format(moment: f64, pattern: Option<&str>, zone: Option<&str>) -> Result<String, Refusal> {
    let zoned = moment_in(moment, zone)?;
    match (pattern, zone) {
        (Some(pattern), _) => strtime::format(bounded(pattern)?, &zoned).map_err(refuse),
        (None, None) => Ok(zoned.timestamp().to_string()),
        (None, Some(_)) => strtime::format("%Y-%m-%dT%H:%M:%S%.f%:z", &zoned).map_err(refuse),
    }
}

/// RFC 3339, or by a pattern; without an offset of its own the text is local to the zone.
pub(super) fn parse(text: &str, pattern: Option<&str>, zone: Option<&str>) -> Result<f64, Refusal> {
    let Some(pattern) = pattern else {
        return text.parse().map(seconds).map_err(refuse);
    };
    let parsed = strtime::parse(bounded(pattern)?, text).map_err(refuse)?;
    if parsed.offset().is_some() || parsed.timestamp().is_some() {
        return parsed.to_timestamp().map(seconds).map_err(refuse);
    }
    let local = match parsed.to_datetime() {
        Ok(local) => local,
        Err(_) => parsed.to_date().map_err(refuse)?.at(0, 0, 0, 0),
    };
    let zoned = local.to_zoned(time_zone(zone)?).map_err(refuse)?;
    Ok(seconds(zoned.timestamp()))
}

/// Years, months, weeks, days, hours, minutes, seconds.
pub(super) fn add(moment: f64, counts: &[f64], zone: Option<&str>) -> Result<f64, Refusal> {
    let [years, months, weeks, days, hours, minutes, seconds_on] = counts else {
        return Err(refuse("a span has seven counts"));
    };
    let whole = |count: &f64| {
        if count.fract() == 0.0 && count.abs() < 1e12 {
            Ok(*count as i64)
        } else {
            Err(refuse(format!("{count} is no whole number of units")))
        }
    };
    let calendar = Span::new()
        .try_years(whole(years)?)
        .map_err(refuse)?
        .try_months(whole(months)?)
        .map_err(refuse)?
        .try_weeks(whole(weeks)?)
        .map_err(refuse)?
        .try_days(whole(days)?)
        .map_err(refuse)?;
    let exact = hours * 3600.0 + minutes * 60.0 + seconds_on;
    if !exact.is_finite() || exact.abs() > 4e11 {
        return Err(refuse("the span is too long"));
    }
    let exact = Span::new().try_microseconds((exact * 1e6).round() as i64).map_err(refuse)?;
    let moved = moment_in(moment, zone)?
        .checked_add(calendar)
        .and_then(|zoned| zoned.checked_add(exact))
        .map_err(refuse)?;
    Ok(seconds(moved.timestamp()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn moment(text: &str) -> f64 {
        parse(text, None, None).ok().unwrap()
    }

    #[test]
    fn moments_are_read_and_written() {
        assert_eq!(moment("1970-01-01T00:00:01.5Z"), 1.5);
        assert_eq!(format(1.5, None, None).ok().unwrap(), "1970-01-01T00:00:01.5Z");
        let lisbon = format(moment("2024-07-01T12:00:00Z"), Some("%d/%m/%Y %H:%M"), Some("Europe/Lisbon"));
        assert_eq!(lisbon.ok().unwrap(), "01/07/2024 13:00");
        let date = parse("24/12/2024", Some("%d/%m/%Y"), None).ok().unwrap();
        assert_eq!(date, moment("2024-12-24T00:00:00Z"));
        assert!(parse("yesterday", None, None).is_err());
        assert!(parse("x", Some("%Q?"), None).is_err());
        assert!(format(f64::NAN, None, None).is_err());
        assert!(format(1e300, None, None).is_err());
        assert!(format(0.0, None, Some("Mars/Olympus")).is_err());
    }

    #[test]
    fn spans_follow_the_calendar() {
        let start = moment("2024-01-31T10:00:00Z");
        let month = add(start, &[0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], None).ok().unwrap();
        assert_eq!(month, moment("2024-02-29T10:00:00Z"));
        let back = add(start, &[0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.5], None).ok().unwrap();
        assert_eq!(back, moment("2024-01-30T10:00:00.5Z"));
        assert!(add(start, &[0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], None).is_err());
        assert!(add(start, &[1e300, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], None).is_err());
    }
}
