//! All routes behind one edge, and what no route takes.

use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use axum::{Router, middleware};
use http::{HeaderValue, Method, StatusCode, Uri, header};
use proto::reason;
use runtime::{Code, Problem};
use utoipa_swagger_ui::SwaggerUi;

use crate::error::Fault;
use crate::{App, edge, openapi};

/// Where the document is.
const DOCUMENT: &str = "/api/v1/openapi.json";
/// The page that shows the document brings its scripts and pictures along.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                           img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'";

/// The whole of it.
pub fn router(app: App) -> Router {
    let (routes, document) = openapi::routes();
    let page = Router::new()
        .merge(SwaggerUi::new("/docs").url(DOCUMENT, document))
        .layer(middleware::map_response(with_page_policy));
    Router::new()
        .merge(routes)
        .merge(page)
        .route("/", get(|| async { Redirect::temporary("/docs/") }))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(middleware::from_fn_with_state(app.clone(), edge::around))
        .with_state(app)
}

async fn with_page_policy(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(PAGE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

async fn no_route(uri: Uri) -> Response {
    let message = if uri.path().len() > 1 && uri.path().ends_with('/') {
        "there is nothing at this path; paths have no slash at the end"
    } else {
        "there is nothing at this path; `/docs` lists what there is"
    };
    Fault::from(Problem::new(Code::NotFound, reason::ROUTE_NOT_FOUND, message)).into_response()
}

async fn no_method(method: Method) -> Response {
    let problem = Problem::new(
        Code::Unimplemented,
        reason::METHOD_NOT_ALLOWED,
        format!("this path does not take `{method}`; `Allow` says what it takes"),
    );
    Fault::new(StatusCode::METHOD_NOT_ALLOWED, problem).into_response()
}
