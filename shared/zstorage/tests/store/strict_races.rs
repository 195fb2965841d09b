//! Who is at one record at the same time: writers, some of whom do not know yet that a link is strict; those who settle; sweepers.

use std::collections::BTreeMap;

use domain::{EntryKey, FieldId, LinkMode, RecordId, Value};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use zstorage::{OpenTable, Settled, WriteError};

use crate::house::{House, key_id};
use crate::linked::{body, create, held, over, own, parked, published, read, standing, strict, update};
use crate::students::{changed, keyed, raw};
use crate::troubled::Troubled;

#[tokio::test]
async fn who_lets_a_write_stand_while_it_is_undone_and_made_anew_does_not_mix_the_two() {
    let (house, open) = (House::new().await, strict().await);
    let records = house.records();
    let was = standing(&records, &open, r#"{"age":1}"#).await;
    let first = update(&records, &open, was.id, r#"{"age":2,"email":"a@b.cd"}"#).await.unwrap();
    let (others, table, entry) = (house.records(), open.clone(), own(&first).clone());
    let anew = async move {
        assert!(others.undo(&entry).await.unwrap());
        update(&others, &table, was.id, r#"{"age":3}"#).await.unwrap();
    };
    let late = over(&Troubled::meanwhile(1, anew), &house);
    assert_eq!(late.apply(&held(&first), published(), None).await.unwrap(), Settled::Now);
    let now = read(&records, &open, &was).await.unwrap();
    let message = house.entry(&held(&first)).await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!(told["new"]["age"], json!(3));
    assert_eq!(now.values.get(&FieldId(3)), Some(&Value::Integer(3)));
    create(&records, &open, r#"{"email":"a@b.cd"}"#).await.unwrap();
}

/// What one process does for a while, by chance.
async fn process(house: &House, open: &OpenTable, ids: &[RecordId], seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (records, outbox, caller) = (house.records(), house.outbox(), key_id());
    for turn in 0..12 {
        let id = ids[random.random_range(0..ids.len())];
        let json =
            format!(r#"{{"email":"{}@b.cd","age":{}}}"#, random.random_range(0..4), random.random::<u16>());
        let key = format!("{seed}.{turn}");
        let by = keyed(caller, &key, 1);
        let answer = match random.random_range(0..8) {
            0 | 1 => records.create(open, &raw(&json), &by).await,
            2 => records.delete(open, id, None, &by).await,
            _ => records.update(open, id, &raw(&json), None, &by).await,
        };
        let written = match answer {
            Ok(written) => written,
            Err(
                WriteError::Held
                | WriteError::Taken { .. }
                | WriteError::Missing
                | WriteError::Contended
                | WriteError::InFlight,
            ) => continue,
            Err(error) => panic!("{error:?}"),
        };
        if written.held.is_none() {
            continue;
        }
        let (key, entry) = (held(&written), own(&written));
        match random.random_range(0..5) {
            // The writer undoes what a sweeper may be taking.
            0 | 1 => {
                house.hands.turn_secs(61);
                let sweep = async {
                    let leased = outbox
                        .lease(&key, 60)
                        .await
                        .unwrap()
                        .filter(|leased| leased.message_id == entry.message_id);
                    match leased {
                        Some(leased) => {
                            Some(records.apply(&key, parked(), Some(leased.lease)).await.unwrap())
                        }
                        None => None,
                    }
                };
                let (undone, swept) = tokio::join!(records.undo(entry), sweep);
                assert_ne!(undone.unwrap(), swept == Some(Settled::Now), "both, or neither");
            }
            // Writer and workers let it stand at once.
            2 | 3 => {
                let all = join_all((0..3).map(|_| records.apply(&key, published(), None))).await;
                assert_eq!(all.iter().filter(|one| matches!(one, Ok(Settled::Now))).count(), 1, "{all:?}");
            }
            // It is killed.
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_leave_records_guards_and_messages_that_agree() {
    for seed in 0..4_u64 {
        let (house, open) = (House::new().await, strict().await);
        let early = changed(&open, |table| table.links[1].mode = LinkMode::Outbox);
        let records = house.records();
        let mut ids = Vec::new();
        for age in 0..2 {
            ids.push(standing(&records, &open, &format!(r#"{{"age":{age}}}"#)).await.id);
        }
        let processes = (0..6).map(|at| {
            let open = if at % 3 == 0 { &early } else { &open };
            process(&house, open, &ids, seed * 100 + at)
        });
        join_all(processes).await;
        for key in house.outbox_keys_held(&open).await {
            assert_eq!(records.apply(&key, published(), None).await.unwrap(), Settled::Now);
        }
        agree(&house).await;
    }
}

async fn agree(house: &House) {
    let (records, outbox) = (house.all("records").await, house.all("outbox").await);
    let mut last: BTreeMap<(RecordId, String), Vec<u64>> = BTreeMap::new();
    for (pk, sk) in outbox.keys() {
        let key = sk.strip_prefix("e#").unwrap_or_else(|| panic!("{pk} {sk} is left"));
        let (link, version) = key.split_once('#').unwrap();
        last.entry((pk.parse().unwrap(), link.to_owned())).or_default().push(version.parse().unwrap());
    }
    for ((record, link), versions) in &last {
        let all: Vec<u64> = (1..=versions.len() as u64).collect();
        assert_eq!(*versions, all, "{record} {link}");
        let key =
            EntryKey::Link { record: *record, link: link.parse().unwrap(), version: versions.len() as u64 };
        let newest = house.entry(&key).await.unwrap();
        let stored = records.iter().find(|((_, sk), _)| *sk == record.to_string()).map(|(_, item)| item);
        assert_eq!(stored.is_none(), body(&newest)["new"].is_null());
        let Some(stored) = stored else { continue };
        assert_eq!(stored["v"].as_n().unwrap(), &versions.len().to_string());
        assert_eq!(
            Some(stored["f3"].as_n().unwrap().clone()),
            body(&newest)["new"]["age"].as_i64().map(|n| n.to_string())
        );
        assert!(!stored.contains_key("held-by"));
    }
    let of_records = records.values().filter(|item| item.contains_key("v"));
    let mut guarded: Vec<&String> =
        of_records.filter(|item| item.contains_key("f1")).map(|item| item["sk"].as_s().unwrap()).collect();
    let mut guards: Vec<&String> = records
        .values()
        .filter(|item| item["sk"].as_s().unwrap() == "guard")
        .map(|item| item["id"].as_s().unwrap())
        .collect();
    guarded.sort();
    guards.sort();
    assert_eq!(guards, guarded);
    assert!(records.values().all(|item| !(item.contains_key("outcomes") && item.contains_key("held"))));
}
