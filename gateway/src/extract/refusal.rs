//! What is wrong with a member or a parameter, as a person would say it.
//!
//! The readers of bodies and queries tell it in words of their own: what is not known, what is
//! expected, at which line and column. Here those words become a sentence with the next step.

use std::fmt::Write as _;

use runtime::Problem;
use runtime::nearest::nearest;

/// The problem with what stands at `path`, of which a reader said `message`. Of a member that is not
/// known or not there the message has the name, and the path may lead to what should hold it.
#[must_use]
pub fn told(path: &str, message: &str) -> Problem {
    let within = path.trim_start_matches('.');
    let message = without_position(message);
    for (kind, sentence) in [
        ("unknown field `", not_known as fn(&str, &str) -> String),
        ("missing field `", |_, _| "is missing; add it".to_owned()),
        ("duplicate field `", |_, _| "is given twice; give it once".to_owned()),
    ] {
        let named = message.strip_prefix(kind).and_then(|rest| rest.split_once('`'));
        if let Some((name, rest)) = named {
            return Problem::invalid(joined(within, name), sentence(name, rest));
        }
    }
    let field = if within.is_empty() { "body" } else { within };
    Problem::invalid(field, not_fitting(message))
}

/// The path of a member, whether or not the path that the reader gave leads to it already.
fn joined(within: &str, name: &str) -> String {
    if within.is_empty() || within == "query" || within == name {
        return name.to_owned();
    }
    if within.ends_with(&format!(".{name}")) {
        within.to_owned()
    } else {
        format!("{within}.{name}")
    }
}

/// The reader counts lines and columns, which the path makes needless.
fn without_position(message: &str) -> &str {
    match message.rsplit_once(" at line ") {
        Some((said, position)) if position.contains(" column ") => said,
        Some(_) | None => message,
    }
}

fn not_known(name: &str, expected: &str) -> String {
    let known = names_in(expected);
    let mut sentence = "is not known here; ".to_owned();
    if let Some(near) = nearest(name, known.iter().copied()) {
        write!(sentence, "did you mean `{near}`? ").expect("a text takes more text");
    }
    sentence + &choice(&known)
}

/// `give `a`, `b` or `c``, or what to do where nothing is taken.
fn choice(known: &[&str]) -> String {
    let quoted: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        None => "leave it out, nothing is taken here".to_owned(),
        Some((only, [])) => format!("give {only}"),
        Some((last, rest)) => format!("give {} or {last}", rest.join(", ")),
    }
}

/// Says of a value what it is and what belongs there.
fn not_fitting(message: &str) -> String {
    if let Some((value, expected)) =
        message.strip_prefix("unknown variant `").and_then(|rest| rest.split_once('`'))
    {
        let known = names_in(expected);
        return format!("does not take `{value}`; {}", choice(&known));
    }
    let typed = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|kind| message.strip_prefix(kind))
        .and_then(|rest| rest.rsplit_once(", expected "));
    match typed {
        Some((found, expected)) => format!("is {}; give {}", plain(found), plain(expected)),
        None => format!("{message}; correct it or leave it out"),
    }
}

/// What the reader calls a value, in plain words.
fn plain(word: &str) -> String {
    match word {
        "sequence" | "a sequence" => "a list".to_owned(),
        "map" | "a map" => "an object".to_owned(),
        "i8" | "i16" | "i64" | "isize" => "a whole number".to_owned(),
        "i32" => format!("a whole number from {} to {}", i32::MIN, i32::MAX),
        "u8" | "u16" | "u64" | "usize" => "a whole number from 0".to_owned(),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "f32" | "f64" => "a number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        word if word.starts_with("struct ") => "an object".to_owned(),
        word if word.starts_with("string ") => format!("the {word}"),
        word if word.starts_with("integer ") || word.starts_with("floating point ") => {
            format!("the number {}", word.rsplit(' ').next().unwrap_or_default())
        }
        word if word.starts_with("boolean ") => word.trim_start_matches("boolean ").to_owned(),
        word => word.to_owned(),
    }
}

/// The names in backticks.
fn names_in(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_names_a_thing_once_and_says_what_belongs_there() {
        for (path, message, sentence) in [
            (
                "statu",
                "unknown field `statu`, expected one of `limit`, `status`",
                "`statu`: is not known here; did you mean `status`? give `limit` or `status`",
            ),
            (
                ".",
                "unknown field `x`, there are no fields at line 1 column 4",
                "`x`: is not known here; leave it out, nothing is taken here",
            ),
            (
                "status",
                "unknown variant `old`, expected `new` or `done`",
                "`status`: does not take `old`; give `new` or `done`",
            ),
            (
                "online",
                "invalid type: string \"yes\", expected a boolean at line 2 column 3",
                "`online`: is the string \"yes\"; give `true` or `false`",
            ),
            ("limit", "odd", "`limit`: odd; correct it or leave it out"),
        ] {
            assert_eq!(told(path, message).message(), sentence);
        }
    }
}
