use domain::{ApiKey, Scope, Scopes};
use futures::future::join_all;
use jiff::Timestamp;
use zstorage::CatalogError;

use crate::house::{House, key_id};

fn key() -> ApiKey {
    ApiKey {
        id: key_id(),
        label: "backend".into(),
        scopes: Scopes::from_iter([Scope::KeyRead, Scope::DeadLetterRead]),
        secret_hashes: vec![[7; 32]],
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_known_here_at_once_and_elsewhere_within_a_minute() {
    let house = House::new().await;
    let (here, there) = (house.catalog(), house.catalog());
    let old = key();
    assert!(there.key(old.id).await.unwrap().is_none());
    here.create_key(&old).await.unwrap();
    assert!(matches!(here.create_key(&old).await, Err(CatalogError::Conflict)));
    assert_eq!(*there.key(old.id).await.unwrap().unwrap(), old);
    let revoked = ApiKey { revoked_at: Some(Timestamp::UNIX_EPOCH), ..old.clone() };
    here.update_key(&old, &revoked).await.unwrap();
    assert_eq!(*here.key(old.id).await.unwrap().unwrap(), revoked);
    house.hands.turn_secs(59);
    assert_eq!(*there.key(old.id).await.unwrap().unwrap(), old);
    house.hands.turn_secs(1);
    assert_eq!(*there.key(old.id).await.unwrap().unwrap(), revoked);
    assert!(matches!(there.update_key(&old, &old).await, Err(CatalogError::Conflict)));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_rotations_of_one_key_exactly_one_is_kept() {
    let house = House::new().await;
    let old = key();
    house.catalog().create_key(&old).await.unwrap();
    let rotations = (0..10_u8).map(|at| {
        let (catalog, old) = (house.catalog(), old.clone());
        let new = ApiKey { secret_hashes: vec![old.secret_hashes[0], [at; 32]], ..old.clone() };
        async move { catalog.update_key(&old, &new).await }
    });
    let results = join_all(rotations).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(results.iter().flat_map(|result| result.as_ref().err()).all(CatalogError::is_conflict));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_hold_every_key_exactly_once() {
    let house = House::new().await;
    let catalog = house.catalog();
    let mut made: Vec<ApiKey> = (0..11).map(|_| key()).collect();
    for key in &made {
        catalog.create_key(key).await.unwrap();
    }
    made.sort_by_key(|key| key.id);
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = catalog.list_keys(4, cursor.as_ref()).await.unwrap();
        found.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, made);
}
