//! Networks and names on them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::node::Node;
use crate::port::address;
use crate::service::is_dns_label;
use crate::violation::show;

/// The network a container is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NetworkMode {
    /// The device's own bridge, where services find each other by name.
    #[default]
    Slipway,
    /// No network.
    None,
    /// The device's own network; only where its policy allows it.
    Host,
}

impl NetworkMode {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        node.word(&[("slipway", Self::Slipway), ("none", Self::None), ("host", Self::Host)])
    }
}

/// Reads a host name.
pub(crate) fn hostname(node: &Node<'_>) -> Option<String> {
    node.parsed(parse_hostname)
}

/// Reads addresses by host name.
pub(crate) fn extra_hosts(node: &Node<'_>) -> Option<BTreeMap<String, IpAddr>> {
    node.entries(|name, node| match parse_hostname(name) {
        Ok(name) => Some((name, address(node)?)),
        Err(message) => node.refuse(message),
    })
}

fn parse_hostname(text: &str) -> Result<String, String> {
    if text.len() <= 253 && text.split('.').all(is_dns_label) {
        return Ok(text.to_owned());
    }
    let text = show(text);
    Err(format!("{text} is not a host name; use lower-case letters, digits and `-`, joined by `.`"))
}
