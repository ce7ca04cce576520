//! The log lines about webhooks that people look for, word for word.

use proto::reason;

use crate::answer::{Ruling, Verdict};
use crate::push::Push;

/// Tells what the gate said about a push.
pub(crate) fn verdict(push: &Push, verdict: &Verdict) {
    let repository = push.familiar_repository();
    let tag = push.tag.as_deref().or(push.event_digest.as_deref()).unwrap_or_default();
    let id = push.id;
    if !verdict.internal {
        tracing::info!(push.id = %id, "[Webhook] Checking approval status for public image: {repository}");
    }
    let first = verdict.reasons.first().map_or("", |why| why.code.as_str());
    if first == reason::IMAGE_NOT_APPROVED {
        tracing::info!(push.id = %id, "[Webhook] Image not found in approved registry: {repository}");
    }
    let unknown_tag = [reason::TAG_NOT_APPROVED, reason::TAG_NOT_LISTED].contains(&first);
    if verdict.tag_added || unknown_tag {
        tracing::info!(push.id = %id, "[Webhook] Tag not found in approved list: {tag}");
    }
    if verdict.tag_added {
        tracing::info!(push.id = %id, "[Webhook] Auto-added tag {tag} to approved image {repository}");
    }
    match verdict.ruling {
        Ruling::Allow => {
            let image = push.familiar();
            tracing::info!(push.id = %id, "[Webhook] Image approved for deployment: {image}");
        }
        Ruling::Hold(_) | Ruling::Deny => {}
    }
}
