//! Devices of the host within a container.

use crate::HostPath;
use crate::node::Node;
use crate::violation::show;

/// A device file; only where the device's policy allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The file on the device.
    pub source: HostPath,
    /// The file in the container.
    pub target: HostPath,
    /// Any of `r` (read), `w` (write) and `m` (make).
    pub permissions: String,
}

impl Device {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let source = fields.require("source").and_then(|field| device_file(&field));
        let target = fields.get("target").map(|field| device_file(&field));
        let permissions =
            fields.get("permissions").map_or(Some("rwm".to_owned()), |field| permissions(&field));
        fields.finish();
        let source = source?;
        let target = target.unwrap_or_else(|| Some(source.clone()));
        Some(Self { source, target: target?, permissions: permissions? })
    }
}

fn device_file(node: &Node<'_>) -> Option<HostPath> {
    let path = node.parsed(HostPath::parse)?;
    if path.as_str().starts_with("/dev/") {
        return Some(path);
    }
    node.refuse(format!("{} is not below `/dev`; name a device file", show(path.as_str())))
}

fn permissions(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    let once = |letter: char| text.matches(letter).count() == 1;
    if !text.is_empty() && text.chars().all(|letter| "rwm".contains(letter) && once(letter)) {
        return Some(text.to_owned());
    }
    node.refuse(format!("{} are not permissions; use `r`, `w` and `m`, each once", show(text)))
}

/// A wish for GPUs; only where the device's policy allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gpu {
    /// The driver; `None` = the engine's own choice.
    pub driver: Option<String>,
    /// Which ones.
    pub choice: GpuChoice,
}

/// Which GPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuChoice {
    /// All.
    All,
    /// So many, whichever.
    Count(u32),
    /// These.
    Ids(Vec<String>),
}

impl Gpu {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let driver = fields.get("driver").map_or(Some(None), |field| name(&field).map(Some));
        let count = fields.get("count");
        let ids = fields.get("device_ids");
        fields.finish();
        let choice = match (count, ids) {
            (Some(count), None) => gpu_count(&count),
            (None, Some(ids)) => gpu_ids(&ids),
            (Some(_), Some(_)) => node.refuse("both `count` and `device_ids` are given; keep one"),
            (None, None) => node.refuse("neither `count` nor `device_ids` is given; give one"),
        };
        Some(Self { driver: driver?, choice: choice? })
    }
}

fn gpu_count(node: &Node<'_>) -> Option<GpuChoice> {
    if node.is_number() {
        let count = node.integer(1..=1024).and_then(|count| u32::try_from(count).ok());
        return count.map(GpuChoice::Count);
    }
    node.word(&[("all", ())]).map(|()| GpuChoice::All)
}

fn gpu_ids(node: &Node<'_>) -> Option<GpuChoice> {
    match node.items(name)? {
        ids if ids.is_empty() => node.refuse("the list is empty; name a GPU, or use `count`"),
        ids => Some(GpuChoice::Ids(ids)),
    }
}

fn name(node: &Node<'_>) -> Option<String> {
    match node.text()? {
        "" => node.refuse("the text is empty; write a name or remove the field"),
        name => Some(name.to_owned()),
    }
}
