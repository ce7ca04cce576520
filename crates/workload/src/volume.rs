//! What is mounted into a container.

use crate::HostPath;
use crate::node::Node;
use crate::violation::show;

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where it comes from.
    pub mount: Mount,
    /// Where it is within the container.
    pub target: HostPath,
    /// True = the container cannot write to it.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A named volume of the device, kept between versions and never deleted.
    Volume(String),
    /// A path of the device; only where its policy allows it.
    Bind(HostPath),
    /// Memory.
    Tmpfs,
}

#[derive(Clone, Copy)]
enum Kind {
    Volume,
    Bind,
    Tmpfs,
}

const KINDS: [(&str, Kind); 3] =
    [("volume", Kind::Volume), ("bind", Kind::Bind), ("tmpfs", Kind::Tmpfs)];

impl Volume {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let kind = fields.require("type").and_then(|field| field.word(&KINDS));
        let target = fields.require("target").and_then(|field| mount_point(&field));
        let read_only = fields.get("read_only").map_or(Some(false), |field| field.flag());
        let mount = match kind {
            Some(Kind::Volume) => {
                fields.require("source").and_then(|field| volume_name(&field)).map(Mount::Volume)
            }
            Some(Kind::Bind) => {
                fields.require("source").and_then(|field| bind_source(&field)).map(Mount::Bind)
            }
            Some(Kind::Tmpfs) => match fields.get("source") {
                Some(source) => source.refuse("memory has no source; remove it"),
                None => Some(Mount::Tmpfs),
            },
            // Said already; the source cannot be judged without the type.
            None => fields.get("source").and(None),
        };
        fields.finish();
        Some(Self { mount: mount?, target: target?, read_only: read_only? })
    }
}

/// Reads a place to mount at.
pub(crate) fn mount_point(node: &Node<'_>) -> Option<HostPath> {
    let path = node.parsed(HostPath::parse)?;
    if path.is_root() {
        return node.refuse("`/` is the image's own; mount below it");
    }
    Some(path)
}

fn volume_name(node: &Node<'_>) -> Option<String> {
    let name = node.text()?;
    if is_name(name) {
        return Some(name.to_owned());
    }
    node.refuse(format!(
        "{} is not a volume's name; use 2 to 128 letters, digits, `_`, `.` and `-`, beginning with \
         a letter or digit",
        show(name)
    ))
}

/// Says whether engines take a text for a volume's name.
fn is_name(name: &str) -> bool {
    (2..=128).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn bind_source(node: &Node<'_>) -> Option<HostPath> {
    let path = node.parsed(HostPath::parse)?;
    if path.reaches_engine_socket() {
        return node.refuse(format!(
            "{} holds an engine's socket, which is never mounted; bind something narrower",
            show(path.as_str())
        ));
    }
    Some(path)
}
