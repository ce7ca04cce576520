//! The routes, one module per family.

use utoipa_axum::router::OpenApiRouter;

use crate::App;

pub mod audit;
pub mod enrolment_keys;
pub mod events;
pub mod gate;
pub mod health;
pub mod images;
pub mod me;
pub mod policies;
pub mod tags;
pub mod tokens;
pub mod upstreams;

/// All of them.
pub fn all() -> OpenApiRouter<App> {
    let families = [
        images::routes(),
        tags::routes(),
        gate::routes(),
        policies::routes(),
        enrolment_keys::routes(),
        upstreams::routes(),
        tokens::routes(),
        audit::routes(),
        events::routes(),
        health::routes(),
        me::routes(),
    ];
    families.into_iter().fold(OpenApiRouter::new(), OpenApiRouter::merge)
}
