//! What is wrong, and where.

use std::cell::RefCell;
use std::fmt;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Where: `ports[0].target`. Empty = the document as a whole.
    pub path: String,
    /// What is wrong and what to do: a sentence without its full stop.
    pub message: String,
}

impl Violation {
    /// Makes a violation.
    pub fn new(path: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { path: path.into(), message: message.to_string() }
    }

    /// Returns the violation as seen from a document that holds this one at `path`.
    pub fn within(self, path: &str) -> Self {
        let path = match (path, self.path.as_str()) {
            ("", inner) => inner.to_owned(),
            (outer, "") => outer.to_owned(),
            (outer, inner) if inner.starts_with('[') => format!("{outer}{inner}"),
            (outer, inner) => format!("{outer}.{inner}"),
        };
        Self { path, message: self.message }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.message),
            path => write!(f, "{path}: {}", self.message),
        }
    }
}

/// Collects violations while a document is walked.
#[derive(Debug, Default)]
pub(crate) struct Violations(RefCell<Vec<Violation>>);

impl Violations {
    pub(crate) fn push(&self, violation: Violation) {
        self.0.borrow_mut().push(violation);
    }

    /// Returns what was read, unless something was wrong. A reader without a result has noted why.
    pub(crate) fn unless_any<T>(self, read: Option<T>) -> Result<T, Vec<Violation>> {
        let violations = self.0.into_inner();
        match read {
            Some(value) if violations.is_empty() => Ok(value),
            Some(_) | None => Err(violations),
        }
    }
}

/// Shows a part of the input: in backticks, no control characters, and not too much of it.
pub(crate) fn show(text: &str) -> impl fmt::Display {
    const SHOWN: usize = 60;
    let shown: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let rest = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    format!("`{shown}{rest}`")
}
