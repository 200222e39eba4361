//! API keys: 256 random bits shown once; what is stored is their hash. A key of full entropy needs
//! no slow hash: nobody can guess it, however fast they try.

use std::{fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of an API key's text. Written as `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ApiKeyHash([u8; 32]);

/// The text is not `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not `sha256:` and 64 hexadecimal digits")]
pub struct NotAKeyHash;

impl ApiKeyHash {
    /// The hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Whether `key` is the one behind this hash. Takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, key: &str) -> bool {
        self.0.ct_eq(&Self::of(key).0).into()
    }
}

impl fmt::Display for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", hex::encode(self.0))
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}…", hex::encode(&self.0[..4]))
    }
}

impl FromStr for ApiKeyHash {
    type Err = NotAKeyHash;
    fn from_str(given: &str) -> Result<Self, NotAKeyHash> {
        let mut bytes = [0; 32];
        let digits = given.strip_prefix("sha256:").ok_or(NotAKeyHash)?;
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| NotAKeyHash)?;
        Ok(Self(bytes))
    }
}

/// A fresh key, and the hash to store. The prefix lets secret scanners and people recognise it.
pub fn new_api_key() -> Result<(String, ApiKeyHash), getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    let key = format!("griot_{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = ApiKeyHash::of(&key);
    Ok((key, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_matches_its_hash_and_no_other() {
        let (key, hash) = new_api_key().unwrap();
        let (other, _) = new_api_key().unwrap();
        assert!(hash.matches(&key));
        assert!(!hash.matches(&other));
        assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    #[test]
    fn the_hash_is_plain_sha_256_so_that_sha256sum_gives_it_too() {
        // FIPS 180-2, appendix B.1.
        let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(ApiKeyHash::of("abc").to_string(), hash);
    }

    #[test]
    fn other_texts_are_refused() {
        let check = |given: &str| assert_eq!(given.parse::<ApiKeyHash>(), Err(NotAKeyHash));
        check("");
        check("sha256:");
        check("sha256:12");
        check(&"a".repeat(64));
        check(&format!("sha256:{}", "g".repeat(64)));
    }
}
