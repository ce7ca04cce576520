//! Text from elsewhere, made safe for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::UnicodeWidthStr as _;

/// The text with what could move the cursor, colour the screen or turn the line round written out.
pub fn clean(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// As [`clean`], but lines stay lines, indented under the first.
pub fn lines(text: &str) -> Cow<'_, str> {
    match escaped(text, |character| character == '\n') {
        text if text.contains('\n') => Cow::Owned(text.replace('\n', "\n         ")),
        text => text,
    }
}

fn escaped(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_bad = |character| is_unsafe(character) && !keep(character);
    if !text.contains(is_bad) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            character if !is_bad(character) => safe.push(character),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            character => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(character));
            }
        }
    }
    Cow::Owned(safe)
}

/// Control characters, and those that change the direction or the place of what follows.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// How many columns the text takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `width` columns; what is cut off is told by the mark.
pub fn cut<'a>(text: &'a str, width: usize, mark: &str) -> Cow<'a, str> {
    if self::width(text) <= width {
        return Cow::Borrowed(text);
    }
    let room = width.saturating_sub(self::width(mark));
    let mut kept = String::new();
    for character in text.chars() {
        kept.push(character);
        if self::width(&kept) > room {
            kept.pop();
            break;
        }
    }
    kept.push_str(mark);
    Cow::Owned(kept)
}

/// `n` with its noun: `1 device`, `12,041 devices`.
pub fn count(n: u64, noun: &str) -> String {
    let plural = match noun {
        noun if n == 1 => noun.to_owned(),
        noun => match noun.strip_suffix('y') {
            Some(stem) if !stem.ends_with(['a', 'e', 'o']) => format!("{stem}ies"),
            Some(_) | None if noun.ends_with('h') => format!("{noun}es"),
            Some(_) | None => format!("{noun}s"),
        },
    };
    format!("{} {plural}", number(n))
}

/// A number with its thousands set apart: `10,482`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The first eight hex digits of a digest.
pub fn short_digest(digest: &str) -> &str {
    let hex = digest.split_once(':').map_or(digest, |(_, hex)| hex);
    hex.get(..8).unwrap_or(hex)
}

/// Bytes in the unit that people read: `5.8 GB`.
pub fn bytes(n: u64) -> String {
    let mut amount = n as f64;
    for unit in ["B", "kB", "MB", "GB", "TB"] {
        if amount < 1000.0 || unit == "TB" {
            let digits = usize::from(unit != "B" && amount < 10.0);
            return format!("{amount:.digits$} {unit}");
        }
        amount /= 1000.0;
    }
    unreachable!("the last unit takes any amount")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_harm_a_terminal_is_written_out() {
        for (text, safe) in [
            ("plain", "plain"),
            ("größe 漢字", "größe 漢字"),
            ("a\u{1b}[31mb", "a\\u{1b}[31mb"),
            ("a\nb\r\tc\0", "a\\nb\\r\\tc\\u{0}"),
            ("a\u{9b}31m", "a\\u{9b}31m"),
            ("\u{202e}gpj.exe", "\\u{202e}gpj.exe"),
        ] {
            assert_eq!(clean(text), safe);
        }
        assert_eq!(lines("a\nb\u{7}"), "a\n         b\\u{7}");
    }

    #[test]
    fn counts_read_as_people_write_them() {
        assert_eq!(count(1, "device"), "1 device");
        assert_eq!(count(12_041, "device"), "12,041 devices");
        assert_eq!(count(0, "policy"), "0 policies");
        assert_eq!(count(2, "delivery"), "2 deliveries");
        assert_eq!(count(2, "key"), "2 keys");
        assert_eq!(count(3, "push"), "3 pushes");
        assert_eq!(count(3, "batch"), "3 batches");
        assert_eq!(number(1_234_567), "1,234,567");
        assert_eq!(bytes(950), "950 B");
        assert_eq!(bytes(5_800_000_000), "5.8 GB");
        assert_eq!(bytes(45_000_000), "45 MB");
    }

    #[test]
    fn what_is_cut_fits() {
        assert_eq!(cut("hall-7-0412", 20, "…"), "hall-7-0412");
        assert_eq!(cut("hall-7-0412", 6, "…"), "hall-…");
        assert_eq!(cut("漢字漢字", 5, "…"), "漢字…");
        assert_eq!(short_digest("sha256:9f2c61d0aa"), "9f2c61d0");
        assert_eq!(short_digest(""), "");
    }
}
