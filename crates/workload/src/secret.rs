//! Secrets: files that lie on the device and never travel.

use crate::HostPath;
use crate::node::Node;
use crate::violation::show;
use crate::volume::mount_point;

/// A secret of the device, mounted into the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The name of the device's file.
    pub name: String,
    /// Where it is within the container: `/run/secrets/<name>` when not given.
    pub target: HostPath,
}

impl Secret {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let name = fields.require("name").and_then(|field| file_name(&field));
        let target = fields.get("target").map(|field| mount_point(&field));
        fields.finish();
        let name = name?;
        let target = match target {
            Some(target) => target?,
            None => HostPath::parse(&format!("/run/secrets/{name}")).ok()?,
        };
        Some(Self { name, target })
    }
}

fn file_name(node: &Node<'_>) -> Option<String> {
    let name = node.text()?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if (1..=128).contains(&name.len()) && name.bytes().all(plain) && !name.starts_with('.') {
        return Some(name.to_owned());
    }
    node.refuse(format!(
        "{} is not a secret's name; use 1 to 128 letters, digits, `_`, `.` and `-`, not beginning \
         with `.`",
        show(name)
    ))
}
