//! What runs within a container, as whom, and how it ends.

use std::collections::BTreeMap;

use crate::node::Node;
use crate::violation::show;

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Whenever it ends.
    #[default]
    UnlessStopped,
    /// When it ends with an error.
    OnFailure,
    /// Never: exit code 0 means that it is done.
    Never,
}

impl Restart {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        node.word(&[
            ("unless-stopped", Self::UnlessStopped),
            ("on-failure", Self::OnFailure),
            ("no", Self::Never),
        ])
    }
}

/// Reads the variables of the environment.
pub(crate) fn environment(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    node.entries(|name, node| {
        let plain = |c: char| c.is_ascii_graphic() && c != '=';
        if name.is_empty() || !name.chars().all(plain) {
            return node.refuse(format!(
                "{} is not a variable's name; use letters, digits and `_`",
                show(name)
            ));
        }
        Some((name.to_owned(), node.text()?.to_owned()))
    })
}

/// Reads labels. Those below `slipway.` are how the agent knows its containers.
pub(crate) fn labels(node: &Node<'_>) -> Option<BTreeMap<String, String>> {
    node.entries(|name, node| {
        if name == "slipway" || name.starts_with("slipway.") {
            return node.refuse("labels below `slipway.` are the agent's own; use another name");
        }
        if name.is_empty() || name.chars().any(char::is_control) {
            return node.refuse(format!("{} is not a label's name; give it one", show(name)));
        }
        Some((name.to_owned(), node.text()?.to_owned()))
    })
}

/// Reads `user[:group]`, by name or number.
pub(crate) fn user(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let is_name = |part: &str| {
        (1..=64).contains(&part.len()) && part.bytes().all(plain) && !part.starts_with('-')
    };
    let valid = match text.split_once(':') {
        Some((user, group)) => is_name(user) && is_name(group),
        None => is_name(text),
    };
    if valid {
        return Some(text.to_owned());
    }
    node.refuse(format!("{} is not a user; write `user`, `user:group` or numbers", show(text)))
}

/// Reads a signal by name (`SIGTERM`) or number (`"15"`).
pub(crate) fn signal(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let numbered = text.parse::<u8>().is_ok_and(|number| (1..=64).contains(&number));
    let named = text.strip_prefix("SIG").is_some_and(|name| SIGNALS.contains(&name));
    if numbered || named {
        return Some(text.to_owned());
    }
    node.refuse(format!("{} is not a signal; write one such as `SIGTERM`", show(text)))
}

const SIGNALS: [&str; 30] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR",
];
