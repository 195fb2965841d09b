use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ApiKey, KeyId, Scope, Scopes};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::item::{Item, Reader, Writer, bytes, text};

/// The partition of all keys; the sort key is the id.
pub(super) const PK: &str = "key";

/// The attribute that changes whenever anything else does: a key has no version of its own.
pub(super) const FINGERPRINT: &str = "fingerprint";

pub(super) fn write(key: &ApiKey) -> Item {
    let scopes = key.scopes.iter().map(text).collect();
    let hashes = key.secret_hashes.iter().map(|hash| bytes(hash)).collect();
    Writer::new(PK, &key.id.to_string())
        .set("label", text(&key.label))
        .set("scopes", AttributeValue::L(scopes))
        .set("secret-hashes", AttributeValue::L(hashes))
        .set("created-at", text(key.created_at))
        // Not the attribute of the table's time to live: a key that has ended is still listed.
        .set_some("ends-at", key.expires_at.map(text))
        .set_some("revoked-at", key.revoked_at.map(text))
        .set(FINGERPRINT, bytes(&fingerprint(key)))
        .done()
}

pub(super) fn read(item: &Item) -> Result<ApiKey, StoreError> {
    let reader = Reader(item);
    let scopes: Option<Scopes> = reader
        .list("scopes")?
        .iter()
        .map(|scope| scope.as_s().ok().and_then(|text| text.parse::<Scope>().ok()))
        .collect();
    let hashes: Option<Vec<[u8; 32]>> = reader
        .list("secret-hashes")?
        .iter()
        .map(|hash| hash.as_b().ok().and_then(|bytes| bytes.as_ref().try_into().ok()))
        .collect();
    Ok(ApiKey {
        id: id(item)?,
        label: reader.text("label")?.to_owned(),
        scopes: scopes.ok_or_else(|| reader.fault("scopes", "holds what is no scope"))?,
        secret_hashes: hashes.ok_or_else(|| reader.fault("secret-hashes", "holds what has not 32 bytes"))?,
        created_at: reader.parsed("created-at")?,
        expires_at: reader.parsed_or_none("ends-at")?,
        revoked_at: reader.parsed_or_none("revoked-at")?,
    })
}

/// A key's id, its item's sort key.
pub(super) fn id(item: &Item) -> Result<KeyId, StoreError> {
    Reader(item).parsed("sk")
}

/// A hash over all that a key says.
pub(super) fn fingerprint(key: &ApiKey) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    };
    part(key.id.to_string().as_bytes());
    part(key.label.as_bytes());
    for scope in key.scopes.iter() {
        part(scope.to_string().as_bytes());
    }
    // A scope is never empty: this parts the two lists.
    part(b"");
    for secret in &key.secret_hashes {
        part(secret);
    }
    part(b"");
    for time in [Some(key.created_at), key.expires_at, key.revoked_at] {
        part(time.map(|time| time.to_string()).unwrap_or_default().as_bytes());
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn times() -> impl Strategy<Value = Timestamp> {
        (0..4_000_000_000_i64, 0..1_000_000_000_i32)
            .prop_map(|(secs, nanos)| Timestamp::new(secs, nanos).unwrap())
    }

    prop_compose! {
        fn keys()(
            label in "\\PC{0,60}", hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..3), random in any::<u64>(),
            scopes in proptest::collection::vec("queue:(read|write|publish):([a-z]{1,9}|\\*)|key:(read|write)|dead-letter:(read|write)|\\*", 0..6),
            created_at in times(), expires_at in proptest::option::of(times()), revoked_at in proptest::option::of(times()),
        ) -> ApiKey {
            let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(random);
            ApiKey {
                id: KeyId::new(Timestamp::UNIX_EPOCH, &mut random),
                label,
                scopes: scopes.iter().map(|scope| scope.parse::<Scope>().unwrap()).collect(),
                secret_hashes: hashes,
                created_at,
                expires_at,
                revoked_at,
            }
        }
    }

    proptest! {
        #[test]
        fn a_key_is_read_back_as_it_was_written(key in keys()) {
            prop_assert_eq!(read(&write(&key)).unwrap(), key);
        }

        #[test]
        fn the_fingerprint_tells_any_two_keys_apart(one in keys(), other in keys(), now in times()) {
            prop_assert_eq!(fingerprint(&one) == fingerprint(&other), one == other);
            let revoked = ApiKey { revoked_at: Some(now), ..one.clone() };
            prop_assert_eq!(fingerprint(&one) == fingerprint(&revoked), one == revoked);
        }
    }
}
