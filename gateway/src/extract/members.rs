//! The members of a body.
//!
//! What an answer shows can be sent back as it is: members that only the server writes (`id`,
//! `created_at`, `etag` …) are passed over. Every other member that a body does not have is refused,
//! because a misspelt filter must never widen a rollout.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use prost_types::FieldMask;
use runtime::Problem;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::error::Fault;

/// A body that can be read.
pub trait Members: DeserializeOwned {
    /// The members that only the server writes.
    const READ_ONLY: &'static [&'static str] = &[];
}

/// The members that a body has. In a change what is left out stays as it is, and `null` takes away
/// what was set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given(BTreeSet<String>);

impl Given {
    /// Whether the body has a member.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The update mask: the RPC's names, in a table beside the route's, of what the body has.
    ///
    /// # Errors
    ///
    /// When it has none of them.
    pub fn mask(&self, names: &[(&str, &str)]) -> Result<FieldMask, Fault> {
        let given = names.iter().filter(|(name, _)| self.has(name));
        let paths: Vec<_> = given.map(|(_, path)| (*path).to_owned()).collect();
        if paths.is_empty() {
            return Err(nothing_to_change());
        }
        Ok(FieldMask { paths })
    }
}

/// The fault of a change that changes nothing.
#[must_use]
pub fn nothing_to_change() -> Fault {
    Problem::invalid("body", "holds nothing that can change; give at least one member").into()
}

/// Reads an object as if some members were not there, and notes which others are.
pub struct WithoutReadOnly<'a, D> {
    inner: D,
    names: &'static [&'static str],
    given: &'a RefCell<Given>,
}

impl<'a, D> WithoutReadOnly<'a, D> {
    /// Passes over these members of what `inner` reads.
    pub fn new(inner: D, names: &'static [&'static str], given: &'a RefCell<Given>) -> Self {
        Self { inner, names, given }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for WithoutReadOnly<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        let Self { inner, names, given } = self;
        inner.deserialize_any(Object { visitor, names, given })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// Takes an object and nothing else.
struct Object<'a, V> {
    visitor: V,
    names: &'static [&'static str],
    given: &'a RefCell<Given>,
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Object<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Rest { map, names: self.names, given: self.given })
    }
}

/// The members that are left.
struct Rest<'a, A> {
    map: A,
    names: &'static [&'static str],
    given: &'a RefCell<Given>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        while let Some(name) = self.map.next_key::<String>()? {
            if self.names.contains(&name.as_str()) {
                self.map.next_value::<IgnoredAny>()?;
                continue;
            }
            let key = seed.deserialize(StrDeserializer::new(&name)).map(Some);
            self.given.borrow_mut().0.insert(name);
            return key;
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::super::body::parse;
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Wish {
        name: String,
        batches: Vec<Batch>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        count: u32,
    }

    impl Members for Wish {
        const READ_ONLY: &'static [&'static str] = &["id", "etag"];
    }

    fn refused(text: &str) -> String {
        parse::<Wish>(text.as_bytes()).expect_err("refused").problem().message().to_owned()
    }

    #[test]
    fn what_only_the_server_writes_is_passed_over() {
        let body = br#"{"id": {"deep": [1]}, "name": "x", "etag": null}"#;
        let (wish, given) = parse::<Wish>(body).unwrap();
        assert_eq!(wish.name, "x");
        assert!(given.has("name") && !given.has("id") && !given.has("batches"));
        let mask = given.mask(&[("batches", "steps"), ("name", "title")]).unwrap();
        assert_eq!(mask.paths, ["title"]);
        assert!(given.mask(&[("batches", "steps")]).is_err());
    }

    #[test]
    fn a_member_that_is_not_known_is_refused_by_its_name_and_place() {
        insta::assert_snapshot!(refused("{\"nmae\": 1}"), @"`nmae`: is not known here; did you mean `name`? give `name` or `batches`");
        insta::assert_snapshot!(refused("{\"batches\": [{\"count\": 1}, {\"cuont\": 1}]}"), @"`batches[1].cuont`: is not known here; did you mean `count`? give `count`");
    }

    #[test]
    fn a_wrong_value_is_told_with_its_path() {
        insta::assert_snapshot!(refused("{\n \"batches\": [{\"count\": \"one\"}]}"), @r#"`batches[0].count`: is the string "one"; give a whole number from 0 to 4294967295"#);
        insta::assert_snapshot!(refused("{\"batches\": [{}]}"), @"`batches[0].count`: is missing; add it");
        insta::assert_snapshot!(refused("[\"x\", []]"), @"`body`: is a list; give an object");
        insta::assert_snapshot!(refused("7"), @"`body`: is the number `7`; give an object");
    }

    #[test]
    fn a_member_given_twice_is_refused() {
        insta::assert_snapshot!(refused("{\"name\": \"a\", \"name\": \"b\"}"), @"`name`: is given twice; give it once");
    }

    #[test]
    fn what_is_no_json_is_told_with_line_and_column() {
        insta::assert_snapshot!(refused("{\n\"name\": \n"), @"the body is no JSON: EOF while parsing a value at line 3 column 0; mend it there");
        insta::assert_snapshot!(refused("{} {}"), @"the body is no JSON: trailing characters at line 1 column 4; mend it there");
        insta::assert_snapshot!(refused(""), @"the body is no JSON: EOF while parsing a value at line 1 column 0; mend it there");
        let deep = format!("{{\"id\": {}", "[".repeat(100_000));
        insta::assert_snapshot!(refused(&deep), @"the body is no JSON: EOF while parsing a list at line 1 column 100007; mend it there");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_body_or_refused_without_panic(bytes: Vec<u8>) {
            let _ = parse::<Wish>(&bytes);
        }
    }
}
