//! What stands in a path.

use axum::extract::{FromRequestParts, Path};
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
            Err(_) => {
                let message = "is not what stands here; ids of images, tags, tokens and registries are numbers";
                Err(Problem::invalid("path", message).into())
            }
        }
    }
}
