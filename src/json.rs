//! JSON on its way out, and objects on their way in.

use std::{fmt, io, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// Appends `value`.
#[expect(clippy::expect_used, reason = "what this crate writes is texts, numbers and maps with texts for keys")]
pub(crate) fn value(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("texts, numbers and maps always serialize");
}

/// The text of `value`.
#[expect(clippy::expect_used, reason = "what this crate writes is texts, numbers and maps with texts for keys")]
pub(crate) fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts, numbers and maps always serialize")
}

/// The text of `value`, which may have a secret in it: in a buffer of its final size, so that growing leaves no copy behind.
pub(crate) fn secret(value: &impl Serialize) -> Vec<u8> {
    let mut len = Length(0);
    // Nothing that is counted here can fail.
    let _ = serde_json::to_writer(&mut len, value);
    let mut out = Vec::with_capacity(len.0);
    self::value(&mut out, value);
    out
}

struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A JSON object: a type that derives `Deserialize` takes an array of its members, too.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}
