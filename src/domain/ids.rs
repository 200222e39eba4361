//! Names of things. Each identifier carries its kind as a prefix (`doc_`, `conv_`, `ans_`), so that
//! one pasted into the wrong place is refused instead of looked up.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier or a collection name. The message is for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not valid: {rule}")]
pub struct InvalidName {
    pub(super) what: &'static str,
    pub(super) given: String,
    pub(super) rule: &'static str,
}

macro_rules! prefixed_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Uuid);

        impl $name {
            /// A fresh identifier; later ones sort after earlier ones (UUIDv7).
            #[must_use]
            #[expect(clippy::new_without_default, reason = "two calls differ; a default would not")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The 128 bits behind the name.
            #[must_use]
            pub fn uuid(self) -> Uuid {
                self.0
            }

            /// The identifier of these 128 bits, as a catalog or a store keeps them.
            #[must_use]
            pub fn from_uuid(bits: Uuid) -> Self {
                Self(bits)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(given: &str) -> Result<Self, InvalidName> {
                given
                    .strip_prefix($prefix)
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| InvalidName {
                        what: $what,
                        given: given.chars().take(80).collect(),
                        rule: concat!("it must be `", $prefix, "` and 32 hexadecimal digits"),
                    })
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(given: String) -> Result<Self, InvalidName> {
                given.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

prefixed_id!(
    /// A document: the same bytes in the same collection keep one identifier.
    DocumentId, "doc_", "document id"
);
prefixed_id!(
    /// A conversation, whose follow-up questions are read together.
    ConversationId, "conv_", "conversation id"
);
prefixed_id!(
    /// One answer.
    AnswerId, "ans_", "answer id"
);
prefixed_id!(
    /// One loss of a part, from when it was noticed to when it was over.
    IncidentId, "inc_", "incident id"
);

prefixed_id!(
    /// A watched folder.
    WatchId, "watch_", "watch id"
);

/// A named shelf of documents. Questions may be kept to one.
///
/// 1 to 64 characters out of `a-z A-Z 0-9 . _ -`, beginning with a letter or a digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Collection(String);

impl Collection {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where documents go when no collection is named: `default`.
impl Default for Collection {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Collection {
    type Err = InvalidName;
    fn from_str(given: &str) -> Result<Self, InvalidName> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let starts_well = given.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts_well && given.len() <= 64 && given.chars().all(allowed) {
            Ok(Self(given.to_owned()))
        } else {
            Err(InvalidName {
                what: "collection",
                given: given.chars().take(80).collect(),
                rule: "use 1 to 64 of a-z A-Z 0-9 . _ - and begin with a letter or a digit",
            })
        }
    }
}

impl TryFrom<String> for Collection {
    type Error = InvalidName;
    fn try_from(given: String) -> Result<Self, InvalidName> {
        given.parse()
    }
}

impl From<Collection> for String {
    fn from(collection: Collection) -> String {
        collection.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_other_kinds() {
        let id = DocumentId::new();
        assert_eq!(id.to_string().parse::<DocumentId>(), Ok(id));
        assert!(id.to_string().parse::<ConversationId>().is_err());
        assert!("doc_".parse::<DocumentId>().is_err());
        assert!("doc_../../etc/passwd".parse::<DocumentId>().is_err());
    }

    #[test]
    fn collection_names() {
        for good in ["a", "default", "Tax-2024_v1.2", &"x".repeat(64)] {
            assert!(good.parse::<Collection>().is_ok(), "{good}");
        }
        for bad in ["", ".", "-a", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<Collection>().is_err(), "{bad}");
        }
    }
}
