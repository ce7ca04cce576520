//! What happened, as events tell it.

use chrono::{DateTime, Utc};
use runtime::Caller;
use runtime::event::{Event, Resource};
use serde::Serialize;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::image::{ApprovalStatus, Image};
use crate::tag::Tag;
use crate::upstream::Upstream;

/// Makes the events of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Teller<'a> {
    pub caller: &'a Caller,
    pub now: DateTime<Utc>,
}

impl Teller<'_> {
    /// An image was added. One that is decided at once is told as decided, too.
    pub(crate) fn image_added(&self, image: &Image, review: Option<uuid::Uuid>) -> Vec<Event> {
        let added = self.of("image.registry.added", image_resource(image)).after(json(image));
        let mut events = vec![added];
        let kind = match image.approval_status {
            ApprovalStatus::Pending => return events,
            ApprovalStatus::Approved => "image.registry.approved",
            ApprovalStatus::Rejected => "image.registry.rejected",
        };
        events.push(self.of(kind, image_resource(image)).after(decided(image, review)));
        events
    }

    /// An image's fields changed.
    pub(crate) fn image_updated(&self, before: &Image, after: &Image) -> Event {
        self.of("image.registry.updated", image_resource(after))
            .before(json(before))
            .after(json(after))
    }

    /// It was decided about an image, or a decision was taken back.
    pub(crate) fn image_decided(
        &self,
        before: &Image,
        after: &Image,
        review: Option<uuid::Uuid>,
    ) -> Event {
        let kind = match after.approval_status {
            ApprovalStatus::Pending => "image.registry.updated",
            ApprovalStatus::Approved => "image.registry.approved",
            ApprovalStatus::Rejected => "image.registry.rejected",
        };
        self.of(kind, image_resource(after)).before(json(before)).after(decided(after, review))
    }

    /// An image was removed with its tags.
    pub(crate) fn image_deleted(&self, image: &Image) -> Event {
        self.of("image.registry.deleted", image_resource(image)).before(json(image))
    }

    /// A tag was added.
    pub(crate) fn tag_added(&self, image: &Image, tag: &Tag) -> Event {
        self.of("image.tag.added", tag_resource(image, tag)).after(tag_of(image, tag))
    }

    /// A tag changed.
    pub(crate) fn tag_updated(&self, image: &Image, before: &Tag, after: &Tag) -> Event {
        self.of("image.tag.updated", tag_resource(image, after))
            .before(tag_of(image, before))
            .after(tag_of(image, after))
    }

    /// A tag was removed.
    pub(crate) fn tag_deleted(&self, image: &Image, tag: &Tag) -> Event {
        self.of("image.tag.deleted", tag_resource(image, tag)).before(tag_of(image, tag))
    }

    /// The gate changed.
    pub(crate) fn gate_updated(&self, before: &Gate, after: &Gate) -> Event {
        self.of("gate.updated", Resource::new("gate", "gate", "gate"))
            .before(json(before))
            .after(json(after))
    }

    /// An upstream was added.
    pub(crate) fn upstream_created(&self, upstream: &Upstream) -> Event {
        self.of("upstream.created", upstream_resource(upstream)).after(json(upstream))
    }

    /// An upstream changed.
    pub(crate) fn upstream_updated(&self, before: &Upstream, after: &Upstream) -> Event {
        self.of("upstream.updated", upstream_resource(after))
            .before(json(before))
            .after(json(after))
    }

    /// An upstream was removed.
    pub(crate) fn upstream_deleted(&self, upstream: &Upstream) -> Event {
        self.of("upstream.deleted", upstream_resource(upstream)).before(json(upstream))
    }

    fn of(&self, kind: &'static str, resource: Resource) -> Event {
        Event::by(self.caller, kind, resource, self.now)
    }
}

fn image_resource(image: &Image) -> Resource {
    Resource::new("image", image.id, image.repository.as_str())
}

fn tag_resource(image: &Image, tag: &Tag) -> Resource {
    Resource::new("tag", tag.id, format!("{}:{}", image.repository, tag.tag))
}

fn upstream_resource(upstream: &Upstream) -> Resource {
    Resource::new("upstream", upstream.id, upstream.name.as_str())
}

/// An image with the review that decided about it, when one did.
fn decided(image: &Image, review: Option<uuid::Uuid>) -> Value {
    let mut value = json(image);
    if let Some(review) = review {
        value["review_id"] = json!(review);
    }
    value
}

/// A tag with the repository it is of, for those who know no image numbers.
fn tag_of(image: &Image, tag: &Tag) -> Value {
    let mut value = json(tag);
    value["repository"] = json!(image.repository);
    value
}

fn json(thing: &impl Serialize) -> Value {
    serde_json::to_value(thing).expect("plain structs with text keys are JSON")
}
