//! Answers that are more than a body.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::extract::etag;

/// A thing that was made: 201, where it is, and its etag when it has one.
#[derive(Debug)]
pub struct Created<T> {
    location: String,
    etag: String,
    body: T,
}

impl<T> Created<T> {
    /// A thing at a path of this API.
    pub fn new(location: impl Into<String>, body: T) -> Self {
        Self { location: location.into(), etag: String::new(), body }
    }

    /// Adds its etag.
    #[must_use]
    pub fn tagged(mut self, etag: impl Into<String>) -> Self {
        self.etag = etag.into();
        self
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, axum::Json(self.body)).into_response();
        if let Ok(value) = HeaderValue::from_str(&self.location) {
            response.headers_mut().insert(header::LOCATION, value);
        }
        if !self.etag.is_empty() {
            etag::set(&mut response, &format!("\"{}\"", self.etag));
        }
        response
    }
}
