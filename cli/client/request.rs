//! What is asked of the API.

use std::time::Duration;

use reqwest::header::{self, HeaderName};
use reqwest::{Method, Url};
use serde_json::Value;

/// A call of one route.
#[derive(Debug, Clone)]
pub struct Request {
    method: Method,
    path: Vec<String>,
    query: Vec<(String, String)>,
    headers: Vec<(HeaderName, String)>,
    body: Option<Value>,
    patience: Option<Duration>,
    is_signed: bool,
    page_size: &'static str,
}

impl Request {
    /// Reads. The path is what follows `/api/v1`, segment by segment.
    pub fn get<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Makes, or commands.
    pub fn post<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::POST, path)
    }

    /// Changes.
    pub fn put<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::PUT, path)
    }

    /// Changes some members.
    pub fn patch<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::PATCH, path)
    }

    /// Removes.
    pub fn delete<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::DELETE, path)
    }

    fn new<S: Into<String>>(method: Method, path: impl IntoIterator<Item = S>) -> Self {
        Self {
            method,
            path: path.into_iter().map(Into::into).collect(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            patience: None,
            is_signed: true,
            page_size: "limit",
        }
    }

    /// Adds a query parameter, or replaces the one of that name.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.retain(|(known, _)| known != name);
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Adds a query parameter where there is a value.
    #[must_use]
    pub fn query_if(self, name: &str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a header where there is a value.
    #[must_use]
    pub fn header_if(self, name: HeaderName, value: Option<String>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Changes only what was seen: the ETag of the answer that was read.
    #[must_use]
    pub fn if_match(self, etag: Option<String>) -> Self {
        self.header_if(header::IF_MATCH, etag)
    }

    /// Adds the body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Waits this long for the answer.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// The parameter by which the route takes the size of a page; `limit` for most.
    #[must_use]
    pub fn paged_by(mut self, page_size: &'static str) -> Self {
        self.page_size = page_size;
        self
    }

    /// Asks for a page of this size.
    #[must_use]
    pub fn page_of(self, size: usize) -> Self {
        let name = self.page_size;
        self.query(name, size.to_string())
    }

    /// Calls as nobody, as a registry's webhook does.
    #[must_use]
    pub fn unsigned(mut self) -> Self {
        self.is_signed = false;
        self
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The whole URL at a server.
    pub fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(&self.path);
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        url
    }

    /// The headers.
    pub fn headers(&self) -> &[(HeaderName, String)] {
        &self.headers
    }

    /// The body.
    pub fn body_text(&self) -> Option<String> {
        self.body.as_ref().map(Value::to_string)
    }

    /// How long to wait, where it is not the usual time.
    pub fn patience(&self) -> Option<Duration> {
        self.patience
    }

    /// Whether the token goes with it.
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_place_in_the_url() {
        let base = Url::parse("https://slipway.example/ops/").unwrap();
        let request = Request::get(["fleets", "a/../b?c", "template"]).query("limit", "5");
        assert_eq!(
            request.query("limit", "7").url(&base).as_str(),
            "https://slipway.example/ops/api/v1/fleets/a%2F..%2Fb%3Fc/template?limit=7"
        );
    }
}
