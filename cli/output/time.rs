//! Times as people tell them: how long ago, in how long, at what o'clock.

use chrono::{DateTime, Local, TimeDelta, Utc};

/// How long ago a time is, seen from `now`: `40 s ago`; a time to come is told as [`until`].
pub fn since(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let age = now - then;
    if age < TimeDelta::seconds(-1) {
        return until(then, now);
    }
    match span(age) {
        Some(span) => format!("{span} ago"),
        None => "just now".to_owned(),
    }
}

/// In how long a time comes: `in 40 s`; a time that is past is told as [`since`].
pub fn until(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let ahead = then - now;
    if ahead < TimeDelta::seconds(-1) {
        return since(then, now);
    }
    match span(ahead) {
        Some(span) => format!("in {span}"),
        None => "now".to_owned(),
    }
}

/// [`since`] where there is a time; else the word.
pub fn since_or(then: Option<DateTime<Utc>>, now: DateTime<Utc>, never: &str) -> String {
    then.map_or_else(|| never.to_owned(), |then| since(then, now))
}

/// [`until`] where there is a time; else the word.
pub fn until_or(then: Option<DateTime<Utc>>, now: DateTime<Utc>, never: &str) -> String {
    then.map_or_else(|| never.to_owned(), |then| until(then, now))
}

/// The time of day where the reader is: `14:41:07`.
pub fn clock(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%H:%M:%S").to_string()
}

/// Day and time where the reader is, with the zone: `2026-11-21 14:41:07 +01:00`.
pub fn full(time: DateTime<Utc>) -> String {
    time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S %:z").to_string()
}

/// A duration in the largest unit that does not hide much; `None` below a second.
fn span(delta: TimeDelta) -> Option<String> {
    let seconds = delta.num_seconds().unsigned_abs();
    Some(match seconds {
        0 => return None,
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    })
}

/// A length of time as people write it down: `90s`, `20m`, `2h`, `7d`, or several together.
pub fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("`{text}` is no length of time; write 90s, 20m, 2h or 7d");
    let mut seconds = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let amount: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit = match rest[digits..].chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some(_) | None => return Err(wrong()),
        };
        seconds =
            amount.checked_mul(unit).and_then(|n| n.checked_add(seconds)).ok_or_else(wrong)?;
        rest = rest[digits + 1..].trim_start();
    }
    Ok(std::time::Duration::from_secs(seconds))
}

/// Seconds as people write them down: `30 min`, `2 h`.
pub fn seconds(seconds: u64) -> String {
    let delta = TimeDelta::seconds(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000));
    span(delta).unwrap_or_else(|| "0 s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_from_now() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let at = |seconds| now + TimeDelta::seconds(seconds);
        for (seconds, told) in [
            (0, "just now"),
            (-1, "1 s ago"),
            (-119, "119 s ago"),
            (-120, "2 min ago"),
            (-7_200, "2 h ago"),
            (-41 * 86_400, "41 d ago"),
            (40, "in 40 s"),
        ] {
            assert_eq!(since(at(seconds), now), told);
        }
        assert_eq!(until(at(8_000), now), "in 2 h");
        assert_eq!(until(at(-300), now), "5 min ago");
    }

    #[test]
    fn lengths_of_time_are_read() {
        let seconds = |text| parse_duration(text).map(|duration| duration.as_secs());
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("1h 30m"), Ok(5_400));
        assert_eq!(seconds("7d"), Ok(604_800));
        for wrong in ["", "20", "m", "2w", "-1s", "99999999999999999999s"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
