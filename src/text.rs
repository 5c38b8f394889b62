//! What the crate's validated strings have in common: made only by parsing, shared instead of copied.

/// Why a text is not what it was taken for: a sentence that says what would be right and never repeats the input,
/// which may be a secret that went into the wrong place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub(crate) &'static str);

/// For a store that parses what it keeps.
impl From<ParseError> for crate::BackendError {
    fn from(error: ParseError) -> Self {
        Self::new(error)
    }
}

/// Defines a type over `Arc<str>` that can only hold what `$holds` accepts.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $holds:expr, $expected:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Takes a text over.
            ///
            /// # Errors
            /// When the text is not of the form that the type's documentation gives.
            pub fn parse(text: impl AsRef<str> + Into<std::sync::Arc<str>>) -> Result<Self, $crate::ParseError> {
                let holds: fn(&str) -> bool = $holds;
                if holds(text.as_ref()) { Ok(Self(text.into())) } else { Err($crate::text::ParseError($expected)) }
            }

            /// The text as it was parsed.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ParseError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::parse(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'_, str> as serde::Deserialize>::deserialize(deserializer)?;
                Self::parse(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use text_type;
