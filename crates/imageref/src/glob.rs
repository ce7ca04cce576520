//! Matching with `*` and `**`.

use crate::PatternError;
use crate::grammar::is_path;

/// The longest pattern: a host, a path and a tag at their longest.
pub(crate) const MAX_LENGTH: usize = 640;

/// A pattern over a whole text: `*` stands for anything without `/`, `**` for anything.
///
/// Matching follows all readings of the pattern at once, one byte after the other, so its cost is
/// at most the pattern's length times the text's, whatever they hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Glob(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Token {
    Byte(u8),
    Within,
    Across,
}

impl Glob {
    /// Reads a pattern whose characters were checked.
    pub(crate) fn new(text: &str) -> Self {
        let mut tokens = Vec::with_capacity(text.len());
        for byte in text.bytes() {
            match (byte, tokens.last_mut()) {
                (b'*', Some(last @ Token::Within)) => *last = Token::Across,
                (b'*', _) => tokens.push(Token::Within),
                (byte, _) => tokens.push(Token::Byte(byte)),
            }
        }
        Self(tokens)
    }

    /// Returns how many characters stand for themselves.
    pub(crate) fn literals(&self) -> usize {
        self.0.iter().filter(|token| matches!(token, Token::Byte(_))).count()
    }

    /// Says whether the whole text fits.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let tokens = &self.0;
        // `reached[i]` = the text so far fits the first `i` tokens.
        let mut reached = vec![false; tokens.len() + 1];
        reached[0] = true;
        self.skip_wildcards(&mut reached);
        for byte in text.bytes() {
            for i in (0..reached.len()).rev() {
                let stays = reached[i] && tokens.get(i).is_some_and(|token| token.repeats(byte));
                let steps = i > 0 && reached[i - 1] && tokens[i - 1] == Token::Byte(byte);
                reached[i] = stays || steps;
            }
            self.skip_wildcards(&mut reached);
        }
        reached[tokens.len()]
    }

    fn skip_wildcards(&self, reached: &mut [bool]) {
        for (i, token) in self.0.iter().enumerate() {
            if reached[i] && !matches!(token, Token::Byte(_)) {
                reached[i + 1] = true;
            }
        }
    }
}

impl Token {
    fn repeats(self, byte: u8) -> bool {
        match self {
            Self::Byte(_) => false,
            Self::Within => byte != b'/',
            Self::Across => true,
        }
    }
}

/// Says whether a text has a wildcard.
pub(crate) fn has_wildcard(text: &str) -> bool {
    text.contains('*')
}

/// Checks what every pattern must keep: some text, not too much, no run of three stars.
pub(crate) fn check_shape(pattern: &str) -> Result<(), PatternError> {
    if pattern.is_empty() {
        return Err(PatternError::Empty);
    }
    let length = pattern.len();
    if length > MAX_LENGTH {
        return Err(PatternError::TooLong { length });
    }
    match pattern.find("***") {
        Some(at) => {
            let stars = pattern[at..].chars().take_while(|c| *c == '*').collect();
            Err(PatternError::Stars { stars })
        }
        None => Ok(()),
    }
}

/// Checks a pattern over paths: each component could be one, for some reading of its wildcards.
pub(crate) fn check_path_glob(pattern: &str, path: &str) -> Result<(), PatternError> {
    let accepts = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-*/".contains(c);
    check_characters(pattern, path, "repository", accepts)?;
    for component in path.split('/') {
        if component.is_empty() {
            return Err(PatternError::EmptyComponent { pattern: pattern.to_owned() });
        }
        if !has_wildcard(component) && !is_path(component) {
            let component = component.to_owned();
            return Err(PatternError::Name(crate::Error::Component { component }));
        }
    }
    Ok(())
}

/// Refuses the first character of a part that no such part of a name has.
pub(crate) fn check_characters(
    pattern: &str,
    text: &str,
    part: &'static str,
    accepts: impl Fn(char) -> bool,
) -> Result<(), PatternError> {
    match text.chars().find(|c| !accepts(*c)) {
        Some(character) => Err(PatternError::Character {
            pattern: pattern.to_owned(),
            character: character.to_string(),
            part,
        }),
        None => Ok(()),
    }
}
