//! Lists: how many there are in all, and where the other pages are.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Uri, header};
use serde::Serialize;

use crate::extract::Page;

const TOTAL: HeaderName = HeaderName::from_static("x-total-count");

/// A part of a list, with what leads to the other parts.
#[derive(Debug)]
pub struct Listed<T> {
    body: T,
    total: i64,
    links: Links,
}

/// The parameters of other pages, by relation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Links(Vec<(&'static str, Vec<(&'static str, String)>)>);

impl<T> Listed<T> {
    /// A list that is whole.
    pub fn whole(body: T, total: usize) -> Self {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        Self { body, total, links: Links::default() }
    }

    /// A part of a list that goes on by token, or by offset when it was asked so.
    pub fn part(body: T, page: &Page, next_token: &str, total: impl Into<i64>) -> Self {
        Self { body, total: total.into(), links: Links::of(page, next_token) }
    }

    /// A page of a list whose pages are counted.
    pub fn numbered(body: T, name: &'static str, page: &Page, total: impl Into<i64>) -> Self {
        let total = total.into();
        Self { body, total, links: Links::numbered(name, page, total) }
    }
}

impl Links {
    fn of(page: &Page, next_token: &str) -> Self {
        let mut links = Vec::new();
        if page.skip > 0 {
            let before = page.skip.saturating_sub(page.size).max(0);
            links.push((
                "prev",
                vec![("offset", before.to_string()), ("page_token", String::new())],
            ));
        }
        if !next_token.is_empty() && page.skip > 0 {
            let after = (page.skip + page.size).to_string();
            links.push(("next", vec![("offset", after), ("page_token", String::new())]));
        } else if !next_token.is_empty() {
            let token = next_token.to_owned();
            links.push(("next", vec![("page_token", token), ("offset", String::new())]));
        }
        Self(links)
    }

    fn numbered(name: &'static str, page: &Page, total: i64) -> Self {
        let size = i64::from(page.size.max(1));
        let last = ((total + size - 1) / size).max(1);
        let at = i64::from(page.number());
        let known = [("first", 1), ("prev", at - 1), ("next", at + 1), ("last", last)];
        let there = known.into_iter().filter(|(_, number)| (1..=last).contains(number));
        Self(there.map(|(relation, number)| (relation, vec![(name, number.to_string())])).collect())
    }
}

impl<T: Serialize> IntoResponse for Listed<T> {
    fn into_response(self) -> Response {
        let mut response = axum::Json(self.body).into_response();
        response.headers_mut().insert(TOTAL, HeaderValue::from(self.total));
        response.extensions_mut().insert(self.links);
        response
    }
}

/// Writes an answer's links, which are the same URL with other parameters.
pub fn link(public_url: &str, uri: &Uri, response: &mut Response) {
    let Some(Links(links)) = response.extensions_mut().remove::<Links>() else { return };
    let written = links.iter().map(|(relation, parameters)| {
        let query = with_parameters(uri.query().unwrap_or_default(), parameters);
        format!("<{public_url}{}?{query}>; rel=\"{relation}\"", uri.path())
    });
    let written = written.collect::<Vec<_>>().join(", ");
    if let (false, Ok(value)) = (written.is_empty(), HeaderValue::from_str(&written)) {
        response.headers_mut().insert(header::LINK, value);
    }
}

/// A query with some parameters replaced; an empty value takes one away. What is put in needs no
/// escaping: it is a number or a token.
fn with_parameters(query: &str, parameters: &[(&'static str, String)]) -> String {
    let replaced = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        parameters.iter().any(|(other, _)| *other == name)
    };
    let kept = query.split('&').filter(|pair| !pair.is_empty() && !replaced(pair));
    let put = parameters.iter().filter(|(_, value)| !value.is_empty());
    let put = put.map(|(name, value)| format!("{name}={value}"));
    kept.map(str::to_owned).chain(put).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(links: Links) -> String {
        let mut response = Response::new(axum::body::Body::empty());
        response.extensions_mut().insert(links);
        let uri = Uri::from_static("/api/v1/images?category=data%20base&limit=2&offset=2");
        link("https://x.example", &uri, &mut response);
        let value = response.headers().get(header::LINK);
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    #[test]
    fn pages_by_token_keep_the_filters() {
        let page = Page { size: 2, ..Page::default() };
        assert_eq!(
            linked(Links::of(&page, "tok")),
            "<https://x.example/api/v1/images?category=data%20base&limit=2&page_token=tok>; rel=\"next\""
        );
        assert_eq!(linked(Links::of(&page, "")), "");
    }

    #[test]
    fn pages_by_offset_go_both_ways() {
        let page = Page { size: 2, skip: 2, ..Page::default() };
        let links = linked(Links::of(&page, "tok"));
        assert!(
            links.contains("offset=0>; rel=\"prev\"") && links.contains("offset=4>; rel=\"next\"")
        );
    }

    #[test]
    fn counted_pages_know_their_neighbours_and_ends() {
        let page = |skip| Page { size: 10, skip, ..Page::default() };
        let relations = |skip, total| {
            let Links(links) = Links::numbered("page", &page(skip), total);
            links.into_iter().map(|(name, to)| format!("{name}:{}", to[0].1)).collect::<Vec<_>>()
        };
        assert_eq!(relations(0, 25), ["first:1", "next:2", "last:3"]);
        assert_eq!(relations(20, 25), ["first:1", "prev:2", "last:3"]);
        assert_eq!(relations(0, 0), ["first:1", "last:1"]);
    }
}
