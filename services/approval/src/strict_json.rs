//! JSON from strangers, read one way only.
//!
//! Two readers that disagree about a body are a hole: one checks, the other acts. Here a body with a
//! key that comes twice, with anything after its end, or nested deeper than 64 is refused.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// How deep arrays and objects may be nested.
pub(crate) const MAX_DEPTH: usize = 64;

/// Reads a body.
///
/// # Errors
///
/// A sentence that says what is wrong and where, without quoting the body.
pub(crate) fn parse(body: &[u8]) -> Result<Value, String> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let value =
        Strict { depth: 0 }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| format!("the body is not the JSON that is taken here: {error}"))
}

/// Reads one value at a depth.
#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("it is nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if members.contains_key(&key) {
                return Err(A::Error::custom("a key comes twice in one object"));
            }
            let value = map.next_value_seed(inner)?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for (body, told) in [
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":{"b":1,"c":2,"b":1}}"#, "twice"),
            (r#"{"a":1,"\u0061":2}"#, "twice"),
            (r#"{"a":1} {"#, "trailing"),
            (r#"{"a":1"#, "EOF"),
            ("{\"a\": json}", "expected"),
            ("", "EOF"),
            ("{\"a\":NaN}", "expected"),
            (&nested(65), "nested"),
        ] {
            let error = parse(body.as_bytes()).expect_err(body);
            assert!(error.contains(told), "{body}: {error}");
        }
        assert!(parse(b"\xff\xfe").is_err());
        assert!(parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn the_error_quotes_nothing_of_the_body() {
        let error = parse(br#"{"token":"s3cr3t","token":"s3cr3t"}"#).expect_err("twice");
        assert!(!error.contains("s3cr3t") && !error.contains("token"), "{error}");
    }

    #[test]
    fn values_are_read_as_they_are() {
        assert!(parse(nested(64).as_bytes()).is_ok());
        let body = r#"{"f":1.417566161e+09,"i":-3,"u":18446744073709551615,"n":null,"s":"ü\n","l":[true,{}]}"#;
        let value = parse(body.as_bytes()).expect("valid");
        assert_eq!(value["f"].as_f64(), Some(1_417_566_161.0));
        assert_eq!(value["s"], "ü\n");
        assert_eq!(value, serde_json::from_str::<Value>(body).expect("valid"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_panic(body: Vec<u8>) {
            let _ = parse(&body);
        }

        #[test]
        fn what_is_taken_is_what_any_reader_reads(body in r#"[\[\]{}:,"a0-9 .eE+-]{0,40}"#) {
            if let Ok(value) = parse(body.as_bytes()) {
                prop_assert_eq!(value, serde_json::from_str::<Value>(&body).expect("valid too"));
            }
        }
    }
}
