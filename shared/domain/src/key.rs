use jiff::Timestamp;
use rand::Rng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{KeyId, Scopes, Secret, hex};

/// A key has at most this many secrets at once: the one in use and the one it is being rotated to.
pub const MAX_LIVE_SECRETS: usize = 2;

const PREFIX: &str = "ql";

/// The text a caller presents: `ql_<key id>_<64 hex digits of secret>_<8 hex digits of checksum>`.
///
/// The checksum lets a scanner (and us) tell a mistyped or truncated key from a wrong one without a look-up.
pub struct ApiKeyText {
    /// Which key.
    pub id: KeyId,
    /// Its secret.
    pub secret: KeySecret,
}

/// The secret half of a key: 32 random bytes. Only its SHA-256 is kept.
pub struct KeySecret([u8; 32]);

/// A text that is not an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not of the form `ql_..._..._...`.
    #[error("this is not an API key of Queuelink: it must look like ql_<id>_<secret>_<checksum>")]
    Form,
    /// Mistyped or cut off.
    #[error("this API key is mistyped or cut off: its checksum does not fit")]
    Checksum,
}

impl KeySecret {
    /// A new secret.
    pub fn new(random: &mut impl Rng) -> KeySecret {
        KeySecret(random.random())
    }

    /// What is stored of it. A plain hash is enough: 256 random bits cannot be guessed.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl ApiKeyText {
    /// Reads what a caller presents.
    pub fn parse(text: &str) -> Result<ApiKeyText, KeyError> {
        let mut parts = text.split('_');
        let (Some(PREFIX), Some(id), Some(secret), Some(sum), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(KeyError::Form);
        };
        let id: KeyId = id.parse().map_err(|_| KeyError::Form)?;
        let secret = unhex(secret).map(KeySecret).ok_or(KeyError::Form)?;
        if checksum(id, &secret) == sum { Ok(ApiKeyText { id, secret }) } else { Err(KeyError::Checksum) }
    }

    /// The text to hand out, once.
    pub fn reveal(&self) -> Secret {
        let sum = checksum(self.id, &self.secret);
        Secret::new(format!("{PREFIX}_{}_{}_{sum}", self.id, hex(&self.secret.0)))
    }
}

fn checksum(id: KeyId, secret: &KeySecret) -> String {
    let mut hash = Sha256::new();
    hash.update(id.to_string());
    hash.update(secret.0);
    hex(&hash.finalize()[..4])
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(|d| d.is_ascii_digit() || (b'a'..=b'f').contains(d)) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// An API key as it is stored: what it may do, and the hashes of its live secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public half.
    pub id: KeyId,
    /// For people: whose it is, what it is for.
    pub label: String,
    /// What it may do.
    pub scopes: Scopes,
    /// SHA-256 of each live secret, the newest last; at most [`MAX_LIVE_SECRETS`].
    pub secret_hashes: Vec<[u8; 32]>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since when it is refused.
    pub revoked_at: Option<Timestamp>,
}

impl ApiKey {
    /// Whether `secret` opens this key at `now`. Takes the same time for every answer.
    pub fn opens(&self, secret: &KeySecret, now: Timestamp) -> bool {
        let given = secret.hash();
        let fits =
            self.secret_hashes.iter().fold(subtle::Choice::from(0), |fits, hash| fits | hash.ct_eq(&given));
        let alive = self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end);
        bool::from(fits) && alive
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_key_is_read_back_and_a_typo_is_told_from_a_stranger() {
        let mut random = rand::rng();
        let key = ApiKeyText {
            id: KeyId::new(Timestamp::UNIX_EPOCH, &mut random),
            secret: KeySecret::new(&mut random),
        };
        let text = key.reveal().expose().to_owned();
        let read = ApiKeyText::parse(&text).unwrap();
        assert_eq!((read.id, read.secret.hash()), (key.id, key.secret.hash()));
        let last = if text.ends_with('0') { "1" } else { "0" };
        assert_eq!(
            ApiKeyText::parse(&format!("{}{last}", &text[..text.len() - 1])).err(),
            Some(KeyError::Checksum)
        );
        for wrong in ["", "ql", "ql___", &text[1..], &text[..40], &text.to_uppercase(), &format!("{text}_")] {
            assert_eq!(ApiKeyText::parse(wrong).err(), Some(KeyError::Form), "{wrong}");
        }
    }

    #[test]
    fn a_key_opens_by_each_live_secret_until_it_ends() {
        let mut random = rand::rng();
        let (old, new, foreign) =
            (KeySecret::new(&mut random), KeySecret::new(&mut random), KeySecret::new(&mut random));
        let now = Timestamp::from_second(1000).unwrap();
        let key = ApiKey {
            id: KeyId::new(now, &mut random),
            label: "test".into(),
            scopes: Scopes::default(),
            secret_hashes: vec![old.hash(), new.hash()],
            created_at: now,
            expires_at: None,
            revoked_at: None,
        };
        assert!(key.opens(&old, now) && key.opens(&new, now) && !key.opens(&foreign, now));
        assert!(!ApiKey { expires_at: Some(now), ..key.clone() }.opens(&new, now));
        assert!(!ApiKey { revoked_at: Some(now), ..key }.opens(&new, now));
    }
}
