//! Ids as people write them: their first characters, as many as it takes to tell them apart.

use serde_json::Value;

use crate::client::Request;
use crate::failure::{Exit, Failure, Result};
use crate::output::text;
use crate::session::Session;
use runtime::nearest::nearest;

/// The fewest characters of an id that are shown and taken.
const LEAST: usize = 8;
/// How many characters of an id tell it apart from those that come later.
const LASTING: usize = 18;
/// How many things are looked through for one that is named by a part of its id.
const LOOKED_THROUGH: usize = 5_000;

/// A kind of thing whose ids are UUIDs.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What one is called.
    pub noun: &'static str,
    /// Where they are listed.
    pub path: &'static str,
    /// The member of the list that holds them.
    pub items: &'static str,
    /// The members beside `id` by which one may be named.
    pub names: &'static [&'static str],
}

impl Kind {
    /// The whole id of what was typed: an id, the beginning of one, or a name.
    pub async fn resolve(&self, session: &Session, typed: &str) -> Result<String> {
        if is_whole(typed) {
            return Ok(typed.to_ascii_lowercase());
        }
        let page = session.api.list(Request::get([self.path]), self.items, LOOKED_THROUGH).await?;
        match self.matching(page.items(), typed).as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => Err(self.unknown(page.items(), typed)),
            several => Err(self.ambiguous(several, typed)),
        }
    }

    /// The ids that what was typed may mean. A name is stronger than the beginning of an id.
    fn matching<'a>(&self, items: &'a [Value], typed: &str) -> Vec<&'a str> {
        let id = |item: &'a Value| item.get("id").and_then(Value::as_str);
        let named: Vec<_> =
            items.iter().filter(|item| self.is_named(item, typed)).filter_map(id).collect();
        if !named.is_empty() || typed.len() < LEAST {
            return named;
        }
        let typed = typed.to_ascii_lowercase();
        items.iter().filter_map(id).filter(|id| id.starts_with(&typed)).collect()
    }

    fn is_named(&self, item: &Value, typed: &str) -> bool {
        self.names.iter().any(|name| item.get(name).and_then(Value::as_str) == Some(typed))
    }

    fn unknown(&self, items: &[Value], typed: &str) -> Failure {
        let Self { noun, .. } = self;
        let failure = Failure::new(Exit::NotFound, format!("there is no {noun} `{typed}`"));
        let known = items.iter().flat_map(|item| {
            self.names.iter().chain(&["id"]).filter_map(|name| item.get(name)?.as_str())
        });
        // The beginning of an id is compared with as much of the others.
        let known = known.map(|known| match is_whole(known) {
            true => known.get(..typed.len().clamp(LEAST, known.len())).unwrap_or(known),
            false => known,
        });
        match nearest(typed, known) {
            Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
            None => failure.hint(format!("`slipway {noun} list` shows those there are")),
        }
    }

    fn ambiguous(&self, ids: &[&str], typed: &str) -> Failure {
        let shown = shorten(ids.iter().copied());
        let some = shown.iter().take(5).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
        let count = text::count(ids.len() as u64, self.noun);
        Failure::usage(format!("`{typed}` may mean {count}: {some}")).hint("write more of the id")
    }
}

/// Ids by their first characters, all as long as it takes to tell them apart.
pub fn shorten<'a>(ids: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let ids: Vec<_> = ids.into_iter().collect();
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    sorted.dedup();
    let needed = sorted
        .windows(2)
        .map(|pair| pair[0].bytes().zip(pair[1].bytes()).take_while(|(a, b)| a == b).count() + 1)
        .max()
        .unwrap_or(0)
        .max(LEAST);
    ids.into_iter()
        .map(|id| match is_whole(id) {
            true => id[..needed.min(id.len())].trim_end_matches('-').to_owned(),
            false => id.to_owned(),
        })
        .collect()
}

/// As much of one id as commands need that are to be typed later, when there are others: its moment
/// and a random part. The least is the same for all that were made within a minute.
pub fn short(id: &str) -> &str {
    if is_whole(id) { &id[..LASTING] } else { id }
}

/// Whether the text may be the beginning of an id, long enough to be taken for one.
pub fn is_beginning(text: &str) -> bool {
    (LEAST..36).contains(&text.len())
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// Whether the text is a whole UUID.
fn is_whole(text: &str) -> bool {
    let dashes = [8, 13, 18, 23];
    text.len() == 36
        && text.bytes().enumerate().all(|(index, byte)| match dashes.contains(&index) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KIND: Kind = Kind { noun: "device", path: "devices", items: "devices", names: &["name"] };
    const A: &str = "0198f3a4-0000-7000-8000-000000000001";
    const B: &str = "0198f3a4-0000-7000-8abc-000000000002";
    const C: &str = "0198f3c2-1111-7000-8000-000000000003";

    #[test]
    fn ids_are_as_long_as_it_takes_to_tell_them_apart() {
        assert_eq!(shorten([A, C]), ["0198f3a4", "0198f3c2"]);
        assert_eq!(shorten([A, B]), ["0198f3a4-0000-7000-80", "0198f3a4-0000-7000-8a"]);
        assert_eq!(shorten([A, A]), ["0198f3a4", "0198f3a4"]);
        assert_eq!(shorten(["", "7"]), ["", "7"]);
        assert_eq!((short(A), short("redis")), ("0198f3a4-0000-7000", "redis"));
    }

    #[test]
    fn names_and_beginnings_name_one_thing() {
        let items = [json!({"id": A, "name": "north-1"}), json!({"id": C, "name": "0198f3a4"})];
        assert_eq!(KIND.matching(&items, "north-1"), [A]);
        assert_eq!(KIND.matching(&items, "0198F3C2"), [C]);
        assert_eq!(KIND.matching(&items, "0198f3a4"), [C], "a name is stronger");
        assert_eq!(KIND.matching(&items, "0198").len(), 0, "too short");
        let failure = KIND.unknown(&items, "nroth-1");
        assert_eq!(failure.exit(), Exit::NotFound);
    }
}
