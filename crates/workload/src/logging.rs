//! How much of a container's output is kept.

use crate::node::Node;
use crate::units::size;

/// How much output a device keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// The bytes after which a file is rotated.
    pub max_size: u64,
    /// How many files are kept.
    pub max_file: u32,
}

impl Default for Logging {
    fn default() -> Self {
        Self { max_size: 10 << 20, max_file: 3 }
    }
}

impl Logging {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let default = Self::default();
        let mut fields = node.fields()?;
        let max_size =
            fields.get("max_size").map_or(Some(default.max_size), |field| size(&field, 1 << 10));
        let max_file = fields.get("max_file").map_or(Some(default.max_file), |field| {
            field.integer(1..=100).and_then(|count| u32::try_from(count).ok())
        });
        fields.finish();
        Some(Self { max_size: max_size?, max_file: max_file? })
    }
}
