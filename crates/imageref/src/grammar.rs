//! The grammar of names, byte by byte.
//!
//! ```text
//! name      = [ host "/" ] component *( "/" component )
//! host      = ( label *( "." label ) / "[" 1*( hex / ":" ) "]" ) [ ":" 1*digit ]
//! label     = alnum [ *( alnum / "-" ) alnum ]
//! component = 1*lower-alnum *( separator 1*lower-alnum )
//! separator = "." / "_" / "__" / 1*"-"
//! tag       = ( alnum / "_" ) *127( alnum / "_" / "." / "-" )
//! ```

/// The longest path, `library/` included, host not counted.
pub(crate) const MAX_PATH: usize = 255;

/// The longest tag.
pub(crate) const MAX_TAG: usize = 128;

/// Splits `host[:port]`; `None` = it is not one. A port is any run of digits here.
pub(crate) fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let end = match text.strip_prefix('[') {
        Some(inner) => 1 + inner.find(']')? + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (name, rest) = text.split_at(end);
    let port = match rest.strip_prefix(':') {
        Some(digits) if is_run(digits, |b| b.is_ascii_digit()) => Some(digits),
        None if rest.is_empty() => None,
        Some(_) | None => return None,
    };
    is_host_name(name).then_some((name, port))
}

fn is_host_name(name: &str) -> bool {
    match name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => is_run(address, |b| b.is_ascii_hexdigit() || b == b':'),
        None => name.split('.').all(is_label),
    }
}

fn is_label(label: &str) -> bool {
    is_run(label, |b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_run(text: &str, accepts: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(accepts)
}

/// Says whether the text before the first `/` is a registry host rather than an owner.
pub(crate) fn looks_like_host(first: &str) -> bool {
    first == "localhost" || first.bytes().any(|b| matches!(b, b'.' | b':'))
}

/// Says whether the text is a path: components joined by `/`.
pub(crate) fn is_path(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut at = 0;
    loop {
        let run = alphanumerics(&bytes[at..]);
        if run == 0 {
            return false;
        }
        at += run;
        at += match &bytes[at..] {
            [] => return true,
            [b'/' | b'.', ..] => 1,
            [b'_', b'_', ..] => 2,
            [b'_', ..] => 1,
            [b'-', rest @ ..] => 1 + rest.iter().take_while(|b| **b == b'-').count(),
            _ => return false,
        };
    }
}

fn alphanumerics(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count()
}

/// Says whether the text is a tag.
pub(crate) fn is_tag(tag: &str) -> bool {
    tag.len() <= MAX_TAG
        && is_run(tag, |b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && !tag.starts_with(['.', '-'])
}

/// Says whether the text is one that engines take for a content id.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

/// Says whether all of the text is lower-case hexadecimal.
pub(crate) fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
