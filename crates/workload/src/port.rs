//! Published ports.

use std::net::{IpAddr, Ipv4Addr};

use crate::node::Node;
use crate::violation::show;

/// A port of the container that the device answers for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Port {
    /// The container's port.
    pub target: u16,
    /// The device's port.
    pub published: u16,
    /// The device's address; `0.0.0.0` = all of IPv4.
    pub host_ip: IpAddr,
    /// The protocol.
    pub protocol: Protocol,
}

/// The protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Port {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let target = fields.require("target").and_then(|field| number(&field));
        let published = fields.require("published").and_then(|field| number(&field));
        let host_ip = fields.get("host_ip").map(|field| address(&field));
        let protocol = fields.get("protocol").map(|field| field.word(&PROTOCOLS));
        fields.finish();
        Some(Self {
            target: target?,
            published: published?,
            host_ip: host_ip.unwrap_or(Some(Ipv4Addr::UNSPECIFIED.into()))?,
            protocol: protocol.unwrap_or(Some(Protocol::Tcp))?,
        })
    }

    /// Says whether a device cannot publish both.
    pub fn clashes_with(&self, other: &Port) -> bool {
        let one_covers = |a: IpAddr, b: IpAddr| a.is_unspecified() && a.is_ipv4() == b.is_ipv4();
        self.published == other.published
            && self.protocol == other.protocol
            && (self.host_ip == other.host_ip
                || one_covers(self.host_ip, other.host_ip)
                || one_covers(other.host_ip, self.host_ip))
    }
}

const PROTOCOLS: [(&str, Protocol); 2] = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];

/// Reads a port number.
pub(crate) fn number(node: &Node<'_>) -> Option<u16> {
    node.integer(1..=u16::MAX.into()).and_then(|port| u16::try_from(port).ok())
}

/// Reads an IP address.
pub(crate) fn address(node: &Node<'_>) -> Option<IpAddr> {
    node.parsed(|text| {
        text.parse().map_err(|_| {
            format!("{} is not an IP address; write one such as `192.168.1.10`", show(text))
        })
    })
}
