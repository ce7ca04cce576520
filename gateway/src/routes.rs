//! The routes, one module per family.

use utoipa_axum::router::OpenApiRouter;

use crate::App;

pub mod audit;
pub mod device_state;
pub mod devices;
pub mod enrolment_keys;
pub mod events;
pub mod fleets;
pub mod gate;
pub mod health;
pub mod history;
pub mod images;
pub mod me;
pub mod overview;
pub mod policies;
pub mod pushes;
pub mod receivers;
pub mod reviews;
pub mod rollouts;
pub mod tags;
pub mod targets;
pub mod tokens;
pub mod upstreams;
pub mod webhooks;

/// All of them.
pub fn all() -> OpenApiRouter<App> {
    let families = [
        images::routes(),
        tags::routes(),
        gate::routes(),
        webhooks::routes(),
        pushes::routes(),
        receivers::routes(),
        reviews::routes(),
        policies::routes(),
        rollouts::routes(),
        devices::routes(),
        targets::routes(),
        device_state::routes(),
        fleets::routes(),
        enrolment_keys::routes(),
        upstreams::routes(),
        tokens::routes(),
        audit::routes(),
        events::routes(),
        health::routes(),
        overview::routes(),
        me::routes(),
    ];
    families.into_iter().fold(OpenApiRouter::new(), OpenApiRouter::merge)
}
