//! Ids that cannot be mistaken for one another.
//!
//! What the API numbers has a 64-bit number; everything else has a UUIDv7, whose order is the order
//! of creation. Each kind is a type of its own, made by [`id!`](crate::id!).

use chrono::{DateTime, Utc};
use rand::Rng as _;
use uuid::Uuid;

/// Makes a UUIDv7 of the given time.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that makes ids")]
pub fn uuid_v7(now: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    let mut random = [0; 10];
    rand::rng().fill_bytes(&mut random);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// Reads a UUID out of a request.
///
/// # Errors
///
/// A violation of `field` when the text is no UUID.
pub fn parse_uuid(field: &str, text: &str) -> Result<Uuid, crate::Problem> {
    Uuid::try_parse(text).map_err(|_| {
        crate::Problem::invalid(
            field,
            "is no id; ids look like 0198f3a4-0000-7000-8000-000000000000",
        )
    })
}

/// Declares an id type over a UUIDv7 (`id!(PushId: Uuid)`) or a number (`id!(ImageId: i64)`).
#[macro_export]
macro_rules! id {
    ($(#[$doc:meta])* $name:ident: Uuid) => {
        $crate::id!(@common $(#[$doc])* $name, ::uuid::Uuid);

        impl $name {
            /// Makes a new id of the given time.
            #[must_use]
            pub fn new(now: ::chrono::DateTime<::chrono::Utc>) -> Self {
                Self($crate::id::uuid_v7(now))
            }

            /// Reads the id out of a request's field.
            ///
            /// # Errors
            ///
            /// A violation of `field` when the text is no id.
            pub fn parse(field: &str, text: &str) -> Result<Self, $crate::Problem> {
                $crate::id::parse_uuid(field, text).map(Self)
            }
        }
    };
    ($(#[$doc:meta])* $name:ident: i64) => {
        $crate::id!(@common $(#[$doc])* $name, i64);
    };
    (@common $(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl ::std::convert::From<$inner> for $name {
            fn from(inner: $inner) -> Self {
                Self(inner)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let at = |millis| DateTime::from_timestamp_millis(millis).expect("a time");
        assert!(uuid_v7(at(1_000)) < uuid_v7(at(1_001)));
        assert_eq!(uuid_v7(at(1_000)).get_version_num(), 7);
    }

    #[test]
    fn a_text_that_is_no_id_names_its_field() {
        let problem = parse_uuid("rollout_id", "nonsense").expect_err("refused");
        assert_eq!(problem.field_violations()[0].field, "rollout_id");
    }
}
