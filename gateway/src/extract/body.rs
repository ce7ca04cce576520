//! Bodies: JSON that is read strictly, and bytes that are handed on as they came.

use std::cell::RefCell;

use axum::body::{Body as Incoming, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, StatusCode, header};
use proto::reason;
use runtime::{Code, Problem};
use serde_json::error::Category;

use super::members::WithoutReadOnly;
use super::{Given, Members, refusal};
use crate::App;
use crate::error::Fault;

/// The largest body.
const BODY_BYTES: usize = 1 << 20;

/// A JSON body. Members that it does not have are refused by name.
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A JSON body that changes something, with the members it has.
#[derive(Debug)]
pub struct Change<T>(pub T, pub Given);

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

/// A body as it came.
#[derive(Debug)]
pub struct RawBody(pub Bytes);

impl<T: Members> FromRequest<App> for Body<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &App) -> Result<Self, Fault> {
        let Change(body, _) = Change::from_request(request, app).await?;
        Ok(Self(body))
    }
}

impl<T: Members> FromRequest<App> for Change<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &App) -> Result<Self, Fault> {
        require_json(request.headers())?;
        let (body, given) = parse(&read(request, app).await?)?;
        Ok(Self(body, given))
    }
}

impl<T: Members + Default> FromRequest<App> for OptionalBody<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &App) -> Result<Self, Fault> {
        let kind = require_json(request.headers());
        let bytes = read(request, app).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        kind?;
        let (body, _) = parse(&bytes)?;
        Ok(Self(body))
    }
}

impl FromRequest<App> for RawBody {
    type Rejection = Fault;

    async fn from_request(request: Request, app: &App) -> Result<Self, Fault> {
        read(request, app).await.map(Self)
    }
}

/// A browser sends JSON to another site only after it asked whether it may, so the type also keeps
/// strange pages from sending bodies.
fn require_json(headers: &HeaderMap) -> Result<(), Fault> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || essence.ends_with("+json") {
        return Ok(());
    }
    let problem = Problem::new(
        Code::InvalidArgument,
        reason::UNSUPPORTED_MEDIA_TYPE,
        "the body must be JSON; send it with `Content-Type: application/json`",
    );
    Err(Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem))
}

async fn read(request: Request, app: &App) -> Result<Bytes, Fault> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > BODY_BYTES) {
        return Err(too_large());
    }
    let whole = tokio::time::timeout(app.settings.read_timeout, collect(request.into_body()));
    whole.await.map_err(|_| {
        let problem = Problem::new(
            Code::InvalidArgument,
            reason::REQUEST_TIMEOUT,
            "the body did not come whole in time; send it faster",
        );
        Fault::new(StatusCode::REQUEST_TIMEOUT, problem)
    })?
}

async fn collect(body: Incoming) -> Result<Bytes, Fault> {
    to_bytes(body, BODY_BYTES).await.map_err(|error| {
        let limited = std::error::Error::source(&error)
            .is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>());
        if limited {
            return too_large();
        }
        let problem = Problem::new(
            Code::InvalidArgument,
            reason::MALFORMED_BODY,
            "the body broke off; send it again",
        );
        problem.into()
    })
}

fn too_large() -> Fault {
    Problem::new(
        Code::InvalidArgument,
        reason::BODY_TOO_LARGE,
        "the body is over 1 MiB; send less at once",
    )
    .into()
}

/// Reads a body, and which members it has.
///
/// # Errors
///
/// When it is no JSON, or has members that it may not have.
pub fn parse<T: Members>(bytes: &[u8]) -> Result<(T, Given), Fault> {
    let given = RefCell::default();
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let body = WithoutReadOnly::new(&mut reader, T::READ_ONLY, &given);
    let parsed = serde_path_to_error::deserialize(body).map_err(|error| {
        let path = error.path().to_string();
        refused(&path, &error.into_inner())
    })?;
    reader.end().map_err(|error| refused(".", &error))?;
    Ok((parsed, given.into_inner()))
}

fn refused(path: &str, error: &serde_json::Error) -> Fault {
    match error.classify() {
        Category::Data => refusal::told(path, &error.to_string()).into(),
        Category::Io | Category::Syntax | Category::Eof => {
            let message = format!("the body is no JSON: {error}; mend it there");
            Problem::new(Code::InvalidArgument, reason::MALFORMED_BODY, message).into()
        }
    }
}
