//! Deliveries on the wire.

use proto::approval::v1 as pb;
use runtime::time::to_timestamp;

use crate::decide;
use crate::delivery::Delivery;
use crate::headers::Headers;

/// The headers of a request.
pub(crate) fn headers(headers: Vec<pb::Header>) -> Headers {
    Headers::new(headers.into_iter().map(|header| (header.name, header.value)))
}

impl From<Delivery> for pb::Delivery {
    fn from(delivery: Delivery) -> Self {
        let decision = delivery.decision.unwrap_or_else(|| {
            decide::worst(delivery.pushes.iter().map(|(_, decision)| *decision))
        });
        Self {
            id: delivery.id.to_string(),
            create_time: Some(to_timestamp(delivery.created_at)),
            peer_ip: delivery.peer_ip,
            headers: delivery
                .headers
                .into_iter()
                .map(|(name, value)| pb::Header { name, value: value.into_bytes() })
                .collect(),
            body: delivery.body.unwrap_or_default(),
            decision: pb::Decision::from(decision).into(),
            push_ids: delivery.pushes.iter().map(|(id, _)| id.to_string()).collect(),
            note: delivery.note,
        }
    }
}
