//! What the API answers.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{self, HeaderMap};
use reqwest::{StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{REQUEST_ID, Request};
use crate::failure::{Exit, Failure, Result};

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    /// An answer as it came; a body that is no JSON is none.
    pub fn new(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        Self { status, headers, body }
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether it is what was asked for.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.body
    }

    /// The members that a command shows.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        read(&self.body)
    }

    /// The time of the answer by the server's clock.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        super::date(&self.headers)
    }

    /// What changes with the document.
    pub fn etag(&self) -> Option<String> {
        self.header(&header::ETAG)
    }

    /// The id that finds the request in the logs.
    pub fn request_id(&self) -> Option<String> {
        self.header(&REQUEST_ID)
    }

    /// How long a server that is asked too much wants to be left alone.
    pub fn retry_after(&self) -> Option<Duration> {
        let is_busy = self.status == StatusCode::TOO_MANY_REQUESTS;
        let seconds: u64 = self.header(&header::RETRY_AFTER).filter(|_| is_busy)?.parse().ok()?;
        Some(Duration::from_secs(seconds.clamp(1, 60)))
    }

    /// A header's value.
    pub fn header(&self, name: &header::HeaderName) -> Option<String> {
        Some(self.headers.get(name)?.to_str().ok()?.to_owned())
    }
}

/// The members that a command shows, out of a document. A member that is `null` is one that is not
/// there.
pub fn read<T: DeserializeOwned>(document: &Value) -> Result<T> {
    T::deserialize(without_nulls(document)).map_err(|error| {
        Failure::new(Exit::Error, "the server's answer is not what this command knows")
            .hint("`slipway version` and `slipway doctor` show the versions of both sides")
            .cause(&error)
    })
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), without_nulls(value)))
            .collect(),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// A list, as many of its pages as were wanted.
#[derive(Debug)]
pub struct Page {
    first: Answer,
    member: &'static str,
    items: Vec<Value>,
    total: Option<usize>,
    next: Option<String>,
}

impl Page {
    /// Reads a list: the array in `member`, or the document itself where it is one.
    pub fn read(answer: Answer, member: &'static str) -> Result<Self> {
        let document = answer.document();
        let items = document.as_array().or_else(|| document.get(member)?.as_array());
        let items = match items {
            Some(items) => items.clone(),
            None => read(&Value::Null)?,
        };
        let total = total(&answer);
        let next = next_link(&answer);
        Ok(Self { first: answer, member, items, total, next })
    }

    /// How many items there are here.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// How many there are in all, as far as the server says.
    pub fn total(&self) -> usize {
        self.total.unwrap_or(self.items.len()).max(self.items.len())
    }

    /// The items.
    pub fn items(&self) -> &[Value] {
        &self.items
    }

    /// The items' members that a command shows.
    pub fn read_items<T: DeserializeOwned>(&self) -> Result<Vec<T>> {
        self.items.iter().map(read).collect()
    }

    /// The document with all items in it.
    pub fn document(&self) -> Value {
        let mut document = self.first.document().clone();
        match &mut document {
            Value::Array(items) => items.clone_from(&self.items),
            document => document[self.member] = Value::Array(self.items.clone()),
        }
        document
    }

    /// The time of the first answer by the server's clock.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        self.first.time()
    }

    /// The request of the next page: the same route with the query that the server gave.
    pub fn next(&self, request: &Request) -> Option<Request> {
        let link = self.next.as_deref()?;
        let base = Url::parse("http://relative.invalid/").ok()?;
        let url = base.join(link).ok()?;
        Some(
            url.query_pairs()
                .fold(request.clone(), |request, (name, value)| request.query(&name, value)),
        )
    }

    /// Takes another page's items. False = it brought nothing.
    pub fn extend(&mut self, more: Self) -> bool {
        self.next = more.next;
        let brings = !more.items.is_empty();
        self.items.extend(more.items);
        brings
    }

    /// Leaves out what is beyond `limit`.
    pub fn truncate(&mut self, limit: usize) {
        self.items.truncate(limit);
    }
}

/// How many items a list has in all: a header says it for every family of routes.
fn total(answer: &Answer) -> Option<usize> {
    let header = answer.header(&header::HeaderName::from_static("x-total-count"));
    let document = answer.document();
    header.and_then(|total| total.parse().ok()).or_else(|| {
        let total = document.get("total").or_else(|| document.get("pagination")?.get("total"))?;
        usize::try_from(total.as_u64()?).ok()
    })
}

/// The target of `Link: <…>; rel="next"`.
fn next_link(answer: &Answer) -> Option<String> {
    let links = answer.header(&header::LINK)?;
    links.split(',').find_map(|link| {
        let (target, relation) = link.trim().split_once(';')?;
        let is_next =
            relation.split(';').any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
        let target = target.trim().strip_prefix('<')?.strip_suffix('>')?;
        is_next.then(|| target.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;
    use serde_json::json;

    use super::*;

    fn answer(body: &Value, headers: &[(&'static str, &'static str)]) -> Answer {
        let headers = headers
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_static(value))
            })
            .collect();
        Answer::new(StatusCode::OK, headers, body.to_string().as_bytes())
    }

    #[test]
    fn every_shape_of_list_is_read() {
        for (body, total) in [
            (json!([1, 2]), 2),
            (json!({"devices": [1, 2], "total": 7}), 7),
            (json!({"devices": [1, 2], "pagination": {"total": 9, "limit": 2, "offset": 0}}), 9),
        ] {
            let page = Page::read(answer(&body, &[]), "devices").unwrap();
            assert_eq!((page.len(), page.total()), (2, total), "{body}");
            assert_eq!(page.document(), body);
        }
        assert!(Page::read(answer(&json!({"images": []}), &[]), "devices").is_err());
    }

    #[test]
    fn the_next_page_is_where_the_server_says() {
        let link = r#"</api/v1/devices?limit=500>; rel="first", </api/v1/devices?limit=500&page_token=a%2Bb>; rel="next""#;
        let link: &'static str = link;
        let page =
            Page::read(answer(&json!({"devices": [1]}), &[("link", link)]), "devices").unwrap();
        let next = page.next(&Request::get(["devices"]).query("fleet", "north")).unwrap();
        let url = next.url(&Url::parse("http://x/").unwrap());
        assert_eq!(url.as_str(), "http://x/api/v1/devices?fleet=north&limit=500&page_token=a%2Bb");
    }
}
