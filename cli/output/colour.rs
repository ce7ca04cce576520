//! Colours and signs. Colour never stands alone: a word or a sign says the same.

use super::words::Token;
use crate::options::Colour;

/// How much the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Styles {
    colour: bool,
    unicode: bool,
}

impl Styles {
    /// As the flag says; else as `NO_COLOR`, `TERM`, the locale and the terminal say.
    pub fn choose(flag: Colour, is_terminal: bool) -> Self {
        let colour = match flag {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                let no_colour = set("NO_COLOR").is_some();
                let is_dumb = set("TERM").is_none_or(|term| term == "dumb");
                is_terminal && !no_colour && !is_dumb
            }
        };
        Self { colour, unicode: is_unicode() }
    }

    /// Neither colours nor signs beyond ASCII.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { colour: false, unicode: false }
    }

    /// The text in the colour of the token.
    pub fn paint(self, token: Token, text: &str) -> String {
        self.wrap(code(token), text)
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What matters less.
    pub fn faint(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// The word before an error.
    pub fn error(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// The sign of the token, in its colour.
    pub fn sign(self, token: Token) -> String {
        self.paint(token, self.glyph(token))
    }

    /// The sign of the token, without its colour.
    pub fn glyph(self, token: Token) -> &'static str {
        let (unicode, ascii) = match token {
            Token::Wait => ("○", "o"),
            Token::Move => ("◐", "~"),
            Token::Good => ("✔", "v"),
            Token::Need => ("◆", "!"),
            Token::Bad => ("✘", "x"),
            Token::Back => ("↩", "<"),
            Token::Paused => ("‖", "="),
            Token::Off => ("◌", "."),
            Token::Calm => ("·", "-"),
        };
        if self.unicode { unicode } else { ascii }
    }

    /// What stands where text was cut off.
    pub fn ellipsis(self) -> &'static str {
        if self.unicode { "…" } else { ".." }
    }

    /// The branches of a tree: one that has others below it, the last one, and the trunk.
    pub fn branches(self) -> [&'static str; 3] {
        if self.unicode { ["├─", "└─", "│ "] } else { ["|-", "`-", "| "] }
    }
}

fn code(token: Token) -> &'static str {
    match token {
        Token::Wait | Token::Calm | Token::Off => "2",
        Token::Move => "34",
        Token::Good => "32",
        Token::Need | Token::Paused => "33",
        Token::Bad => "31",
        Token::Back => "35",
    }
}

/// Whether the locale is one of UTF-8: the first of these that is set says it.
fn is_unicode() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_stronger_than_the_terminal() {
        let always = Styles::choose(Colour::Always, false);
        assert_eq!(always.paint(Token::Bad, "failed"), "\u{1b}[31mfailed\u{1b}[0m");
        let never = Styles::choose(Colour::Never, true);
        assert_eq!(never.paint(Token::Bad, "failed"), "failed");
        assert_eq!(Styles::plain().sign(Token::Good), "v");
    }
}
