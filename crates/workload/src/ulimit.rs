//! Resource limits of a container's processes.

use std::collections::BTreeMap;

use crate::node::Node;
use crate::violation::show;

/// A resource limit; -1 = none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ulimit {
    /// The limit in force.
    pub soft: i64,
    /// How far a process may raise it.
    pub hard: i64,
}

const NAMES: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Reads limits by name.
pub(crate) fn ulimits(node: &Node<'_>) -> Option<BTreeMap<String, Ulimit>> {
    node.entries(|name, node| {
        let known = NAMES.contains(&name);
        if !known {
            node.note(format!("{} is not a limit; use one such as `nofile`", show(name)));
        }
        let limit = Ulimit::read(node)?;
        known.then(|| (name.to_owned(), limit))
    })
}

impl Ulimit {
    fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let soft = fields.require("soft").and_then(|field| field.integer(-1..=i64::MAX));
        let hard = fields.require("hard").and_then(|field| field.integer(-1..=i64::MAX));
        fields.finish();
        let (soft, hard) = (soft?, hard?);
        let height = |limit: i64| if limit < 0 { i64::MAX } else { limit };
        if height(soft) > height(hard) {
            return node.refuse("`soft` is over `hard`; lower it, or raise `hard`");
        }
        Some(Self { soft, hard })
    }
}
