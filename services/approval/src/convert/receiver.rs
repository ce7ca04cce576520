//! Receivers on the wire.

use proto::approval::v1 as pb;
use runtime::Problem;
use runtime::secret::Secret;
use runtime::time::to_timestamp;

use crate::receiver::{Activity, Receiver, Wish};
use crate::vendor::{ResponseMode, Vendor};

impl From<ResponseMode> for pb::ResponseMode {
    fn from(mode: ResponseMode) -> Self {
        match mode {
            ResponseMode::Strict => Self::Strict,
            ResponseMode::Ack => Self::Ack,
        }
    }
}

impl TryFrom<pb::CreateReceiverRequest> for Wish {
    type Error = Problem;

    fn try_from(request: pb::CreateReceiverRequest) -> Result<Self, Problem> {
        let receiver = request
            .receiver
            .ok_or_else(|| Problem::invalid("receiver", "is missing; give its name and vendor"))?;
        let vendor = Vendor::from_pb(receiver.vendor()).ok_or_else(|| {
            let known = Vendor::words().map(|word| format!("`{word}`")).collect::<Vec<_>>();
            Problem::invalid("receiver.vendor", format!("is missing; use {}", known.join(", ")))
        })?;
        let response_mode = match receiver.response_mode() {
            pb::ResponseMode::Unspecified => None,
            pb::ResponseMode::Strict => Some(ResponseMode::Strict),
            pb::ResponseMode::Ack => Some(ResponseMode::Ack),
        };
        Ok(Self {
            vendor,
            response_mode,
            name: receiver.name,
            secret: Some(request.secret).filter(|text| !text.is_empty()).map(Secret::new),
            allow_unauthenticated: receiver.allow_unauthenticated,
            registries: receiver.registries,
            repositories: receiver.repositories,
            payload_trust: receiver.payload_trust,
            is_default: receiver.is_default,
        })
    }
}

/// A receiver with what it was sent of late.
pub(crate) fn receiver(receiver: Receiver, activity: Activity) -> pb::Receiver {
    pb::Receiver {
        id: receiver.id.to_string(),
        vendor: receiver.vendor.to_pb().into(),
        has_secret: receiver.has_secret,
        allow_unauthenticated: receiver.allow_unauthenticated,
        response_mode: pb::ResponseMode::from(receiver.response_mode).into(),
        payload_trust: receiver.payload_trust,
        is_default: receiver.is_default,
        create_time: Some(to_timestamp(receiver.created_at)),
        name: receiver.name,
        registries: receiver.registries,
        repositories: receiver.repositories,
        last_delivery_time: activity.last_delivery_at.map(to_timestamp),
        refused_since: activity.refused_since,
        last_refusal: activity.last_refusal,
    }
}
