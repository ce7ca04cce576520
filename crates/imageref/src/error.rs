//! What can be wrong with a name or a pattern, and what to do about it.

use std::fmt;

/// What is wrong with an image name, or with a part of one.
///
/// The message is a sentence that names what is wrong and ends with the next step. Parts of the
/// input appear in it escaped and shortened, so it can be logged and shown as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no text.
    #[error("the name is empty; write one such as `redis:7` or `ghcr.io/acme/app:1.2`")]
    Empty,
    /// The text begins or ends with a blank.
    #[error("{} begins or ends with a blank; remove it", show(.text))]
    SurroundingBlank {
        /// The whole text.
        text: String,
    },
    /// The text holds a control character.
    #[error("the name holds the control character U+{:04X} at byte {at}; remove it", u32::from(*.character))]
    ControlCharacter {
        /// The character.
        character: char,
        /// Its offset in bytes.
        at: usize,
    },
    /// The text holds a character outside ASCII, which may look like another one.
    #[error("the name holds U+{:04X} at byte {at}, which is not ASCII; type the name anew", u32::from(*.character))]
    NotAscii {
        /// The character.
        character: char,
        /// Its offset in bytes.
        at: usize,
    },
    /// The text begins with something like `https://`.
    #[error("{} is not part of a name; remove it", show(.scheme))]
    Scheme {
        /// The scheme, with its slashes.
        scheme: String,
    },
    /// The text is 64 hexadecimal digits, which engines take for a content id.
    #[error("64 hexadecimal digits are a content id, not a name; write `repository@sha256:…`")]
    Identifier,
    /// The registry host is not one.
    #[error(
        "{} is not a registry host; use a DNS name, an IPv4 address or an IPv6 address in \
         brackets, with or without `:port`",
        show(.host)
    )]
    Host {
        /// The text in the host's place.
        host: String,
    },
    /// The host is an IPv4 address in IPv6 form.
    #[error("{} is an IPv4 address in IPv6 form; write the IPv4 address", show(.host))]
    MappedAddress {
        /// The host.
        host: String,
    },
    /// The host could not be told from an owner on Docker Hub once it is in lower case.
    #[error(
        "{} would be an owner on Docker Hub in lower case, yet is read as a registry host; write \
         an owner in lower case, a registry with its domain or port",
        show(.host)
    )]
    UnqualifiedHost {
        /// The host.
        host: String,
    },
    /// The port is 0 or over 65535.
    #[error("port {} does not exist; use one from 1 to 65535", show(.port))]
    Port {
        /// The digits.
        port: String,
    },
    /// The name says one registry, the field beside it another.
    #[error(
        "the name says registry {}, the registry given is {}; name it once",
        show(.in_name), show(.given)
    )]
    TwoHosts {
        /// The host within the name.
        in_name: String,
        /// The registry beside it.
        given: String,
    },
    /// The repository has an upper-case letter.
    #[error("repository {} is not in lower case; write {}", show(.path), show(&.path.to_ascii_lowercase()))]
    UpperCase {
        /// The repository's path.
        path: String,
    },
    /// The repository has an empty component.
    #[error("repository {} has an empty component; write one name between each two `/`", show(.path))]
    EmptyComponent {
        /// The repository's path.
        path: String,
    },
    /// A component of the repository breaks the rules.
    #[error(
        "{} cannot be part of a repository; use lower-case letters and digits, joined by one \
         `.`, by `_` or `__`, or by `-`",
        show(.component)
    )]
    Component {
        /// The component.
        component: String,
    },
    /// The repository is too long.
    #[error("the repository has {length} characters without its host; use at most 255")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The tag breaks the rules.
    #[error(
        "{} is not a tag; use at most 128 letters, digits, `_`, `.` and `-`, not beginning with \
         `.` or `-`",
        show(.tag)
    )]
    Tag {
        /// The text in the tag's place.
        tag: String,
    },
    /// The digest is not `algorithm:hexadecimal`.
    #[error("{} is not a digest; write `sha256:` and 64 lower-case hexadecimal digits", show(.digest))]
    Digest {
        /// The text in the digest's place.
        digest: String,
    },
    /// The digest's algorithm is not known.
    #[error("digest algorithm {} is not known; use `sha256` or `sha512`", show(.algorithm))]
    Algorithm {
        /// The algorithm.
        algorithm: String,
    },
    /// The digest has too few or too many digits.
    #[error("a {algorithm} digest has {wanted} hexadecimal digits, not {length}; copy it anew")]
    DigestLength {
        /// The algorithm.
        algorithm: &'static str,
        /// How many digits it has.
        wanted: usize,
        /// How many there are.
        length: usize,
    },
    /// A tag stands where only a repository may.
    #[error("{} has a tag, and only a repository is wanted; remove `:` and the tag", show(.text))]
    TagNotWanted {
        /// The whole text.
        text: String,
    },
    /// A digest stands where only a repository may.
    #[error("{} has a digest, and only a repository is wanted; remove `@` and the digest", show(.text))]
    DigestNotWanted {
        /// The whole text.
        text: String,
    },
}

impl Error {
    /// Finds what is wrong with the text as a whole: such causes say more than the part they break.
    pub(crate) fn of_whole(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Empty);
        }
        if let Some((at, character)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Some(Self::ControlCharacter { character, at });
        }
        if text.trim().len() != text.len() {
            return Some(Self::SurroundingBlank { text: text.to_owned() });
        }
        if let Some((at, character)) = text.char_indices().find(|(_, c)| !c.is_ascii()) {
            return Some(Self::NotAscii { character, at });
        }
        text.split_once("://").map(|(scheme, _)| Self::Scheme { scheme: format!("{scheme}://") })
    }
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// There is no text.
    #[error("the pattern is empty; write one such as `redis:*`, or `**` for every repository")]
    Empty,
    /// The pattern is too long.
    #[error("the pattern has {length} characters; use at most {}", crate::glob::MAX_LENGTH)]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// A `:` is there with nothing behind it.
    #[error("the tag of pattern {} is empty; write `*` for any tag, or remove the `:`", show(.pattern))]
    EmptyTag {
        /// The pattern.
        pattern: String,
    },
    /// Two slashes follow each other, or one stands at an end.
    #[error("pattern {} has an empty component; write a name or `*` there", show(.pattern))]
    EmptyComponent {
        /// The pattern.
        pattern: String,
    },
    /// Three or more `*` follow each other.
    #[error("{} is no wildcard; use `*` within a component or `**` across components", show(.stars))]
    Stars {
        /// The stars.
        stars: String,
    },
    /// The pattern has a character that no name has and that is no wildcard.
    #[error(
        "pattern {} holds {}, which no {part} has; the wildcards are `*` and `**`",
        show(.pattern), show(.character)
    )]
    Character {
        /// The pattern.
        pattern: String,
        /// The character.
        character: String,
        /// Which part of a name it stands in.
        part: &'static str,
    },
    /// The pattern has a digest.
    #[error("pattern {} has a digest; patterns select by repository and tag, remove the `@` part", show(.pattern))]
    Digest {
        /// The pattern.
        pattern: String,
    },
    /// A part without wildcards is one that no name can have.
    #[error(transparent)]
    Name(Error),
}

/// Shows a part of the input: in backticks, ASCII only, and not too much of it.
fn show(text: &str) -> impl fmt::Display {
    const SHOWN: usize = 80;
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_default).collect();
    let rest = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("`{shown}{rest}`")
}
