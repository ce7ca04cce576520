//! The OpenAPI document, made of the handlers.

use axum::Router;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;

use crate::App;
use crate::error::{Family, FlatError, NestedError};

/// What the document begins with.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Slipway",
        description = "Approved images, staged rollouts.\n\nLists tell in `X-Total-Count` how many \
            there are and in `Link` where the other parts are. Every answer has an `X-Request-Id`. \
            Single things have an `ETag`; a change with `If-Match` is refused (412) when the thing \
            has changed since. Members and parameters that are not known are refused by name.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    components(schemas(FlatError, NestedError)),
    security(("bearer" = [])),
    tags(
        (name = "images", description = "Which images may run."),
        (name = "tags", description = "The versions of an image."),
        (name = "gate", description = "The rules by which pushes are admitted."),
        (name = "webhooks", description = "What registries call."),
        (name = "pushes", description = "What became of what registries told."),
        (name = "receivers", description = "The addresses that registries call."),
        (name = "reviews", description = "Questions to a person."),
        (name = "policies", description = "Which images go to which devices, in which steps."),
        (name = "rollouts", description = "Images on their way to devices."),
        (name = "devices", description = "The fleet, and what it should run."),
        (name = "device state", description = "What simple devices call."),
        (name = "image-registries", description = "Image registries elsewhere."),
        (name = "access", description = "Who may do what."),
        (name = "audit", description = "Who did what."),
        (name = "events", description = "What happens, as it happens."),
        (name = "system", description = "How Slipway is."),
    ),
)]
struct Beginning;

/// The OpenAPI document of all routes.
#[must_use]
pub fn document() -> OpenApi {
    routes().1
}

/// The routes, and the document that tells of them.
pub fn routes() -> (Router<App>, OpenApi) {
    let described = OpenApiRouter::with_openapi(Beginning::openapi()).merge(crate::routes::all());
    let (routes, mut document) = described.split_for_parts();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token, `ghd_…`."))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    for (path, item) in &mut document.paths.paths {
        for operation in operations(item) {
            tell_errors(operation, Family::of(path));
        }
    }
    (routes, document)
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, patch, delete, .. } = item;
    [get, put, post, patch, delete].into_iter().flatten()
}

/// Every route can fail, in the shape of its family.
fn tell_errors(operation: &mut Operation, family: Family) {
    let schema = match family {
        Family::Flat => "FlatError",
        Family::Nested => "NestedError",
    };
    let response = ResponseBuilder::new()
        .description("Why it was not done.")
        .content("application/json", Content::new(Some(Ref::from_schema_name(schema))))
        .build();
    let responses = &mut operation.responses.responses;
    responses.entry("default".to_owned()).or_insert(RefOr::T(response));
}
