//! What stands in a path.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, RawPathParams};
use http::request::Parts;
use runtime::Problem;
use serde::de::DeserializeOwned;

use crate::App;
use crate::error::Fault;

/// The parts of a path: a number or a text, or a tuple of them.
#[derive(Debug)]
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for At<T> {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Fault> {
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => {
                let named = RawPathParams::from_request_parts(parts, app).await;
                let names = named.iter().flatten().collect();
                Err(refused(&rejection, names).into())
            }
        }
    }
}

/// Says which part of the path does not fit. All that are not plain text are numbers.
fn refused(rejection: &PathRejection, parts: Vec<(&str, &str)>) -> Problem {
    let number = |name: &str, value: &str| {
        let message =
            format!("is `{value}`, which is no id; give the number that the list of them shows");
        Problem::invalid(name, message)
    };
    if let PathRejection::FailedToDeserializePathParams(failed) = rejection {
        match failed.kind() {
            ErrorKind::ParseErrorAtKey { key, value, .. } => return number(key, value),
            ErrorKind::ParseErrorAtIndex { index, value, .. } => {
                let name = parts.get(*index).map_or("path", |(name, _)| name);
                return number(name, value);
            }
            ErrorKind::ParseError { value, .. } => {
                let name = parts.first().map_or("path", |(name, _)| name);
                return number(name, value);
            }
            _ => {}
        }
    }
    Problem::invalid("path", "cannot be read; percent-encode it as UTF-8")
}
