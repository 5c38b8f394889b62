//! What a wrong secret was meant to be, for whoever has to find out why a client is refused.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use zeroize::Zeroizing;

use super::{ClientAuthentication, basic};
use crate::{Client, ClientSecretHash, Error, Misspelling, Request, SecretClass, StoredSecret, form, request::Field};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The cause, and if it is a wrong secret that is right in another spelling, that one.
///
/// It costs one SHA-256 for each spelling, whether or not there is a client, a secret, or a match: what is presented decides how
/// many there are, and nothing else. Secrets that are slow to verify are not tried; `is_proven` knows them without that, if they were
/// right before, and costs as much for each spelling.
pub(super) fn told_from(
    cause: Error,
    authentication: &ClientAuthentication<'_>,
    client: Option<&Client>,
    request: &Request<'_>,
    is_proven: impl Fn(&str) -> bool,
) -> Error {
    let secrets = client.map(Client::client_secrets).unwrap_or_default();
    let decoy = ClientSecretHash::decoy(SecretClass::Generated);
    let fast = secrets.iter().map(StoredSecret::hash).find(|hash| hash.class() == SecretClass::Generated);
    let salted = fast.unwrap_or(&decoy);
    // Those of other salts would cost a client of many secrets more than others.
    let is_one = |spelling: &str| {
        let digest = salted.digest_of(spelling);
        let same = secrets.iter().filter(|secret| secret.hash().is_salted_like(salted));
        same.fold(is_proven(spelling), |found, secret| found | secret.hash().has(&digest))
    };

    let has_ended = is_one(authentication.client_secret());
    let mut found = None;
    for misspelling in Misspelling::ALL {
        let meant = meant(misspelling, authentication, request);
        if meant.is_some_and(|meant| is_one(&meant)) {
            found = found.or(Some(misspelling));
        }
    }
    match (cause, found) {
        // Only those are looked at before that are live, if any is.
        (Error::WrongSecret, _) if has_ended => Error::ExpiredSecret,
        (Error::WrongSecret, Some(misspelling)) => Error::MisspelledSecret(misspelling),
        (cause, _) => cause,
    }
}

/// What the secret is if this is how it was misspelt, where it can have been.
fn meant(
    misspelling: Misspelling,
    authentication: &ClientAuthentication<'_>,
    request: &Request<'_>,
) -> Option<Zeroizing<String>> {
    let presented = authentication.client_secret();
    let meant = match misspelling {
        Misspelling::NotEncoded => encoded(authentication, request)?,
        Misspelling::PlusNotEncoded => decoded(&with_plus_encoded(&encoded(authentication, request)?))?,
        Misspelling::EncodedTwice => decoded(presented)?,
        Misspelling::SpacesAround => presented.trim().to_owned().into(),
        Misspelling::Quoted => {
            let between = |quote| presented.strip_prefix(quote)?.strip_suffix(quote);
            between('"').or_else(|| between('\''))?.to_owned().into()
        }
        Misspelling::ReadAsLatin1 => {
            // With its final capacity from the start, so that growing leaves no copy behind.
            let mut bytes = Zeroizing::new(Vec::with_capacity(presented.len()));
            presented.chars().try_for_each(|char| u8::try_from(char).map(|byte| bytes.push(byte))).ok()?;
            form::into_text(bytes)?.into()
        }
        Misspelling::Base64 => {
            let mut bytes = Zeroizing::new(Vec::with_capacity(presented.len()));
            BASE64.decode_vec(presented, &mut bytes).ok()?;
            form::into_text(bytes)?.into()
        }
        Misspelling::WithClientId => {
            presented.strip_prefix(authentication.client_id())?.strip_prefix(':')?.to_owned().into()
        }
    };
    (*meant != *presented).then_some(meant)
}

/// The secret as it came, before it was form-decoded.
fn encoded(authentication: &ClientAuthentication<'_>, request: &Request<'_>) -> Option<Zeroizing<String>> {
    match authentication {
        ClientAuthentication::Basic(_) => match request.authorization {
            Field::Once(header) => basic::encoded_secret(header),
            Field::Absent | Field::Repeated => None,
        },
        ClientAuthentication::Post { .. } => {
            let form = std::str::from_utf8(request.body_up_to(usize::MAX).ok()?).ok()?;
            form::pairs(form).find(|(name, _)| *name == "client_secret").map(|(_, value)| value.to_owned().into())
        }
    }
}

/// The same with each plus sign encoded.
fn with_plus_encoded(encoded: &str) -> Zeroizing<String> {
    // With room for nothing but plus signs from the start, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(encoded.len().saturating_mul(3)));
    for char in encoded.chars() {
        match char {
            '+' => text.push_str("%2B"),
            char => text.push(char),
        }
    }
    text
}

fn decoded(encoded: &str) -> Option<Zeroizing<String>> {
    form::decode(encoded).ok().map(|decoded| Zeroizing::new((*decoded).to_owned()))
}
