//! Fleet templates follow a rollout that has succeeded, so that a device which joins later runs what
//! the others run.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use runtime::Actor;
use runtime::event::{Event, Resource};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Look;
use crate::app::App;
use crate::error::Error;
use crate::policy::Selector;
use crate::select::Candidate;
use crate::store::{self};
use crate::target::{Image, Service};

/// Puts the release into the templates of the fleets that it has reached as a whole. A template that
/// an operator has set since the rollout was made stays.
pub(super) async fn follow(
    app: &App,
    db: &mut PgConnection,
    look: &Look,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let (rollout, frozen) = (&look.rollout, &look.frozen);
    let part = store::assignment::devices(db, rollout.id).await?;
    for (name, template) in store::fleet::lock_templates(db, rollout.created_at).await? {
        let next = with_release(&template, &frozen.repository, &frozen.image);
        if next == template {
            continue;
        }
        let selector = Selector { fleet: Some(name.clone()), ..Selector::default() };
        let devices = store::device::candidates(db, &[&selector], Some(&frozen.repository)).await?;
        if !is_reached(&devices, &part, &frozen.repository, &frozen.image) {
            continue;
        }
        store::fleet::set_template(db, &name, &next, now).await?;
        let fleet = Resource::new("fleet", &name, name.clone());
        let event = Event::of(Actor::system("rollout"), "fleet.template_set", fleet, now)
            .before(json!({"services": template}))
            .after(json!({"services": next, "devices": 0, "rollout_id": rollout.id}));
        app.outbox.append(db, &event).await?;
    }
    Ok(())
}

/// Whether a device of the fleet runs the release, and every other one that is not held was to.
fn is_reached(
    devices: &[Candidate],
    part: &HashSet<Uuid>,
    repository: &str,
    image: &Image,
) -> bool {
    let has = |device: &Candidate| {
        device.services.iter().all(|service| !is_of(service, repository) || service.runs.is(image))
    };
    devices.iter().any(has)
        && devices.iter().all(|device| device.pinned || part.contains(&device.id) || has(device))
}

fn with_release(template: &[Service], repository: &str, image: &Image) -> Vec<Service> {
    let mut next = template.to_vec();
    for service in next.iter_mut().filter(|service| is_of(service, repository)) {
        service.runs = image.clone();
    }
    next
}

fn is_of(service: &Service, repository: &str) -> bool {
    service.runs.repository().is_some_and(|known| known.as_str() == repository)
}
