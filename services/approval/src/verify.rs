//! Whether a request comes from who knows the receiver's secret.
//!
//! The signature is over the raw bytes of the body; it is compared in constant time with every live
//! secret. A receiver with a secret takes nothing without a signature.

use hmac::{Hmac, KeyInit as _, Mac as _};
use runtime::secret::Secret;
use sha2::Sha256;

use crate::headers::Headers;

const SIGNATURE: &str = "X-Hub-Signature-256";
const LEGACY: &str = "X-Hub-Signature";
const PREFIX: &str = "sha256=";

/// Why a request is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no signature.
    #[error(
        "the request has no `X-Hub-Signature-256`; set the receiver's secret at the webhook's sender"
    )]
    Missing,
    /// There is only a signature of the old kind.
    #[error(
        "the request has only `X-Hub-Signature` (SHA-1), which is not taken; let the sender sign with \
         `X-Hub-Signature-256`"
    )]
    Legacy,
    /// The signature cannot be read.
    #[error(
        "`X-Hub-Signature-256` is not one `sha256=` and 64 hex digits; look at what lies between the sender and here"
    )]
    Malformed,
    /// It was made with another secret, or of other bytes.
    #[error(
        "`X-Hub-Signature-256` fits no secret of the receiver; set the same secret on both sides, and see that \
         nothing between them changes the body"
    )]
    Mismatch,
}

/// Checks a body's HMAC-SHA256 in `X-Hub-Signature-256`.
///
/// # Errors
///
/// Why the request is not believed.
pub(crate) fn hub_signature(
    headers: &Headers,
    body: &[u8],
    secrets: &[Secret],
) -> Result<(), Refusal> {
    let Some(value) = headers.get(SIGNATURE) else {
        return Err(match (headers.has(SIGNATURE), headers.has(LEGACY)) {
            (true, _) => Refusal::Malformed,
            (false, true) => Refusal::Legacy,
            (false, false) => Refusal::Missing,
        });
    };
    let mut claimed = [0; 32];
    value
        .strip_prefix(PREFIX)
        .and_then(|digits| hex::decode_to_slice(digits, &mut claimed).ok())
        .ok_or(Refusal::Malformed)?;
    // Every secret is tried, so that the time it takes does not tell which one fits.
    let fits = secrets.iter().fold(false, |fits, secret| fits | signs(secret, body, &claimed));
    if fits { Ok(()) } else { Err(Refusal::Mismatch) }
}

fn signs(secret: &Secret, body: &[u8], claimed: &[u8; 32]) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(body);
    mac.verify_slice(claimed).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pair that GitHub's documentation gives.
    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const HMAC: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn check(headers: &[(&str, &str)], body: &[u8], secrets: &[&str]) -> Result<(), Refusal> {
        let headers = Headers::new(
            headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())),
        );
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        hub_signature(&headers, body, &secrets)
    }

    #[test]
    fn the_published_pair_fits_and_nothing_else_does() {
        let signature = format!("sha256={HMAC}");
        let signed = [("x-hub-signature-256", signature.as_str())];
        assert_eq!(check(&signed, BODY, &[SECRET]), Ok(()));
        assert_eq!(check(&signed, BODY, &["another", "one more", SECRET]), Ok(()));
        assert_eq!(check(&signed, BODY, &["another"]), Err(Refusal::Mismatch));
        assert_eq!(check(&signed, b"Hello, World!\n", &[SECRET]), Err(Refusal::Mismatch));
        assert_eq!(check(&signed, BODY, &[]), Err(Refusal::Mismatch));
    }

    #[test]
    fn a_missing_legacy_or_malformed_signature_is_told_apart_and_refused() {
        let signature = format!("sha256={HMAC}");
        let upper = format!("SHA256={HMAC}");
        let legacy = ("X-Hub-Signature", "sha1=01dc10d0c83e72ed246219cdd91669667fe2ca59");
        for (headers, refusal) in [
            (vec![], Refusal::Missing),
            (vec![legacy], Refusal::Legacy),
            (vec![("X-Hub-Signature-256", "")], Refusal::Malformed),
            (vec![("X-Hub-Signature-256", HMAC)], Refusal::Malformed),
            (vec![("X-Hub-Signature-256", "sha256=")], Refusal::Malformed),
            (vec![("X-Hub-Signature-256", &signature[..70])], Refusal::Malformed),
            (vec![("X-Hub-Signature-256", &upper)], Refusal::Malformed),
            (
                vec![("X-Hub-Signature-256", &signature), ("X-Hub-Signature-256", "sha256=00")],
                Refusal::Malformed,
            ),
        ] {
            assert_eq!(check(&headers, BODY, &[SECRET]), Err(refusal), "{headers:?}");
        }
    }
}
