//! Secrets at rest that must be read again, such as the key a webhook is signed with.
//!
//! AES-256-GCM-SIV with a random nonce; the place of the secret (`table/column/id`) is
//! authenticated with it, so that a sealed value moved to another row does not open. Every sealed
//! value names the key it was sealed with.

use std::io;
use std::path::Path;

use aes_gcm_siv::aead::{Aead, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Key, KeyInit, Nonce};
use sha2::{Digest, Sha256};

use crate::secret::{self, Secret};

const VERSION: u8 = 1;
const KEY_ID: usize = 4;
const NONCE: usize = 12;

/// Seals and opens secrets with one key.
#[derive(Clone)]
pub struct Sealer {
    key_id: [u8; KEY_ID],
    cipher: Aes256GcmSiv,
}

/// Why a sealed value does not open.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// Another key sealed it.
    #[error(
        "sealed with key `{found}`, this process has key `{have}`; start it with the right one"
    )]
    OtherKey {
        /// The id of the key that sealed it.
        found: String,
        /// The id of the key at hand.
        have: String,
    },
    /// It was changed, or moved from another place.
    #[error("the sealed value of `{place}` was changed or belongs elsewhere")]
    Broken {
        /// Where it was read.
        place: String,
    },
}

impl Sealer {
    /// Makes a sealer of 32 key bytes.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        let digest = Sha256::digest(key);
        let mut key_id = [0; KEY_ID];
        key_id.copy_from_slice(&digest[..KEY_ID]);
        Self { key_id, cipher: Aes256GcmSiv::new(&Key::<Aes256GcmSiv>::from(*key)) }
    }

    /// Makes a sealer with a new key, for tests.
    #[must_use]
    pub fn generate() -> Self {
        let mut key = [0; 32];
        secret::random_bytes(&mut key);
        Self::new(&key)
    }

    /// Reads the key from a file of 64 hex digits, making the file when it is missing.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or written, or holds something else.
    pub fn open_or_create(path: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::from_hex(text.trim()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                secret::random_bytes(&mut key);
                secret::write_private(path, hex::encode(key).as_bytes())?;
                Ok(Self::new(&key))
            }
            Err(error) => Err(error),
        }
    }

    fn from_hex(text: &str) -> io::Result<Self> {
        let mut key = [0; 32];
        hex::decode_to_slice(text, &mut key).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "a sealing key is 64 hex digits")
        })?;
        Ok(Self::new(&key))
    }

    /// Seals a secret for one place.
    #[must_use]
    pub fn seal(&self, place: &str, secret: &Secret) -> Vec<u8> {
        let mut nonce = [0; NONCE];
        secret::random_bytes(&mut nonce);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: place.as_bytes() };
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), payload)
            .expect("a secret is far below the cipher's limit of 64 GiB");
        [&[VERSION][..], &self.key_id, &nonce, &sealed].concat()
    }

    /// Opens what was sealed for the same place.
    ///
    /// # Errors
    ///
    /// When another key sealed it, or it was changed or moved.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Secret, SealError> {
        let broken = || SealError::Broken { place: place.to_owned() };
        let (&version, rest) = sealed.split_first().ok_or_else(broken)?;
        let (key_id, rest) = rest.split_at_checked(KEY_ID).ok_or_else(broken)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or_else(broken)?;
        if version != VERSION {
            return Err(broken());
        }
        if key_id != self.key_id {
            let (found, have) = (hex::encode(key_id), hex::encode(self.key_id));
            return Err(SealError::OtherKey { found, have });
        }
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| broken())?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        let opened = self.cipher.decrypt(&Nonce::from(nonce), payload).map_err(|_| broken())?;
        String::from_utf8(opened).map(Secret::new).map_err(|_| broken())
    }
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", hex::encode(self.key_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_in_its_own_place_only() {
        let sealer = Sealer::generate();
        let secret = Secret::new("It's a Secret");
        let sealed = sealer.seal("receiver_secrets/secret/1", &secret);
        assert_eq!(sealer.open("receiver_secrets/secret/1", &sealed), Ok(secret));
        assert!(matches!(
            sealer.open("receiver_secrets/secret/2", &sealed),
            Err(SealError::Broken { .. })
        ));
        assert!(matches!(
            Sealer::generate().open("receiver_secrets/secret/1", &sealed),
            Err(SealError::OtherKey { .. })
        ));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let sealer = Sealer::generate();
        let sealed = sealer.seal("p", &Secret::new("s"));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(sealer.open("p", &changed).is_err(), "byte {index}");
        }
        assert!(sealer.open("p", &[]).is_err());
    }

    #[test]
    fn the_key_file_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing-key");
        let sealed = Sealer::open_or_create(&path).unwrap().seal("p", &Secret::new("s"));
        let again = Sealer::open_or_create(&path).unwrap();
        assert_eq!(again.open("p", &sealed), Ok(Secret::new("s")));
    }
}
