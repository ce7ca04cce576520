//! Which service needs which.

use std::collections::BTreeMap;

use crate::ServiceName;
use crate::node::Node;

/// What a service waits for in another one before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// That it runs.
    Started,
    /// That its healthcheck says so.
    Healthy,
}

/// The words of the table, and the compose file's for the same.
const CONDITIONS: [(&str, Condition); 4] = [
    ("started", Condition::Started),
    ("healthy", Condition::Healthy),
    ("service_started", Condition::Started),
    ("service_healthy", Condition::Healthy),
];

/// Reads the services that one depends on.
pub(crate) fn depends_on(node: &Node<'_>) -> Option<BTreeMap<ServiceName, Condition>> {
    node.entries(|name, node| {
        let name = ServiceName::parse(name).map_or_else(|error| node.refuse(error), Some);
        let mut fields = node.fields()?;
        let condition = fields.require("condition").and_then(|field| field.word(&CONDITIONS));
        fields.finish();
        Some((name?, condition?))
    })
}
