use std::fmt;

use crate::variants;

/// How a secret that was presented is not as it should be.
///
/// Its `Display` is what to tell whoever develops the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misspelling {
    /// It is not form-encoded, and decoding took something away: mostly a `+`, which stands for a space (RFC 6749 §2.3.1).
    NotEncoded,
    /// It is percent-encoded, but a `+` in it is not.
    PlusNotEncoded,
    /// It is encoded twice: mostly by a library that encodes what its caller has encoded already.
    EncodedTwice,
    /// There are spaces around it.
    SpacesAround,
    /// There are quotes around it.
    Quoted,
    /// Its UTF-8 was taken for ISO-8859-1, and encoded as UTF-8 again.
    ReadAsLatin1,
    /// It is in base64.
    Base64,
    /// The client identifier stands before it, with a colon.
    WithClientId,
}

impl Misspelling {
    /// All of them, in the order in which they are tried: what came first is told where two match.
    pub(crate) const ALL: [Self; 8] = variants::all!(
        Misspelling: NotEncoded,
        PlusNotEncoded,
        EncodedTwice,
        SpacesAround,
        Quoted,
        ReadAsLatin1,
        Base64,
        WithClientId,
    );

    pub(super) const fn diagnosis(self) -> &'static str {
        match self {
            Self::NotEncoded => {
                "the secret matches before it is decoded: the client does not encode it (RFC 6749 section 2.3.1), mostly a `+` or a `%` in it"
            }
            Self::PlusNotEncoded => {
                "the secret matches with `+` for every space: the client encodes it, but for the `+` in it, which is `%2B`"
            }
            Self::EncodedTwice => "the secret matches when it is decoded once more: the client encodes it twice",
            Self::SpacesAround => "the secret matches without the spaces around it: look at how the client reads it",
            Self::Quoted => {
                "the secret matches without the quotes around it: look at how the client reads its configuration"
            }
            Self::ReadAsLatin1 => {
                "the secret matches when it is taken for ISO-8859-1: the client encodes its UTF-8 as UTF-8 again"
            }
            Self::Base64 => {
                "the secret matches when it is decoded from base64: the client encodes it before it puts it into its place"
            }
            Self::WithClientId => "the secret matches without the client identifier and the colon before it",
        }
    }
}

impl fmt::Display for Misspelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.diagnosis())
    }
}
