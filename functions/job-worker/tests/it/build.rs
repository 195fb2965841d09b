use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::{Clock, IndexState, JobState, KeyId, RawFields, RecordId, Value};
use zstorage::{By, OpenTable, WriteError};

use crate::house::House;
use crate::tables::{Design, records_at};

/// The records that the index in slot 1 of the table holds, in its order, past our own reading of it.
async fn indexed(house: &House, open: &OpenTable) -> Vec<RecordId> {
    let client = crate::store::client(&house.tables.store.endpoint);
    let table = open.schema.table();
    let index = table.indexes.last().unwrap().id.0;
    let mut found: Vec<(Vec<u8>, RecordId)> = Vec::new();
    for bucket in RecordId::buckets(table.buckets) {
        let mut start = None;
        loop {
            let page = client
                .query()
                .table_name("records")
                .index_name("index-1")
                .key_condition_expression("i1pk = :pk")
                .expression_attribute_values(
                    ":pk",
                    aws_sdk_dynamodb::types::AttributeValue::S(format!("{}#{index}#{bucket}", table.prefix)),
                )
                .set_exclusive_start_key(start)
                .send()
                .await
                .unwrap();
            for item in page.items() {
                let key = item["i1sk"].as_b().unwrap().clone().into_inner();
                found.push((key, item["sk"].as_s().unwrap().parse().unwrap()));
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
    }
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

/// The records that an index over the first field must hold: those with a value in it, by value.
async fn expected(house: &House, open: &OpenTable) -> Vec<RecordId> {
    let field = open.schema.table().fields[0].id;
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let scanned = house.worker.records.scan(open, cursor.as_deref(), 100).await.unwrap();
        found.extend(scanned.records.iter().filter_map(|record| match record.values.get(&field) {
            Some(Value::Integer(n)) => Some((*n, record.id.ulid(), record.id)),
            _ => None,
        }));
        match scanned.cursor {
            None => break,
            next => cursor = next,
        }
    }
    found.sort();
    found.into_iter().map(|(_, _, id)| id).collect()
}

fn by(house: &House) -> By {
    By { caller: KeyId::new(house.worker.clock.now(), &mut rand::rng()), idempotency: None, depth: 0 }
}

fn fields(text: &str) -> RawFields {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_whole_when_it_is_ready_and_a_job_cut_off_half_way_goes_on() {
    let mut house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n").text("t")).await;
    for n in 0..57 {
        let value = if n % 5 == 0 { "null".to_owned() } else { (1000 - n).to_string() };
        house.tables.record(&open, &format!(r#"{{"n":{value},"t":"x"}}"#)).await;
    }
    let (job, open) = house.add_index(&open, false).await;
    for slice in 1..=3 {
        assert_eq!(house.ring_for_one_slice(&job).await, 0);
        let now = house.job(&job).await;
        assert_eq!((now.slice, now.done, now.state.clone()), (slice, slice * 10, JobState::Running));
        assert_eq!(house.sent().len(), 1, "the next message is on its way");
    }
    // The worker is gone with all that it knew; another one is rung by the message that came back.
    house.replace_worker();
    let ended = house.finish(&job).await;
    assert_eq!((ended.done, ended.state, house.sent().len()), (57, JobState::Done, 0));
    let open = house.open(&open).await;
    assert_eq!(open.schema.table().indexes[0].state, IndexState::Ready);
    let expect = expected(&house, &open).await;
    assert_eq!(indexed(&house, &open).await, expect);
    assert_eq!(expect.len(), 45);
    // Whoever rings for a job that has ended wakes nobody.
    assert_eq!(house.ring(&job, 1).await, 0);
    assert!(house.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_waits_for_writes_that_are_held_by_the_tables_old_design() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    let known: RecordId = house.tables.record(&open, r#"{"n":1}"#).await.parse().unwrap();
    let old = house.add_strict_link(&open).await;
    let records = &house.worker.records;
    let changed = records.update(&old, known, &fields(r#"{"n":3}"#), None, &by(&house)).await.unwrap();
    let made = records.create(&old, &fields(r#"{"n":2}"#), &by(&house)).await.unwrap();
    let (job, new) = house.add_index(&open, false).await;
    for _ in 0..3 {
        assert_eq!(house.ring(&job, 1).await, 0);
        assert_eq!((house.job(&job).await.slice, house.sent().len()), (0, 1), "it is rung for again, later");
    }
    for written in [changed, made] {
        let key = written.held.unwrap().entry.key;
        records.apply(&key, zstorage::Applied::Parked { reason: "no".into() }, None).await.unwrap();
    }
    assert_eq!(house.finish(&job).await.state, JobState::Done);
    let expect = expected(&house, &new).await;
    assert_eq!((indexed(&house, &new).await, expect.len()), (expect, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_not_given_up_for_a_held_write_that_may_yet_be_undone() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    house.tables.record(&open, r#"{"n":1}"#).await;
    let (job, open) = house.add_index(&open, true).await;
    let open = house.add_strict_link(&open).await;
    // By the new design, long after the index was asked for: what the index guards it has taken.
    let clock = house.worker.clock.clone();
    let later = Clock::new(move || clock.now() + Duration::from_secs(120));
    let records = records_at(&house.tables.store.endpoint, &later);
    let held = records.create(&open, &fields(r#"{"n":1}"#), &by(&house)).await.unwrap().held.unwrap();
    for _ in 0..3 {
        assert_eq!(house.ring(&job, 1).await, 0);
        assert_eq!((house.job(&job).await.slice, house.sent().len()), (0, 1), "it is rung for again, later");
    }
    assert!(records.undo(&held.entry).await.unwrap());
    assert_eq!(house.finish(&job).await.state, JobState::Done);
    assert_eq!(house.open(&open).await.schema.table().indexes[0].state, IndexState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_built_while_eight_writers_write_is_whole() {
    let house = House::start().await;
    let before = house.tables.table("T", Design::new().integer("n")).await;
    let mut known = Vec::new();
    for n in 0..60 {
        known.push(
            house.tables.record(&before, &format!(r#"{{"n":{n}}}"#)).await.parse::<RecordId>().unwrap(),
        );
    }
    let (job, open) = house.add_index(&before, false).await;
    let stop = AtomicBool::new(false);
    let writer = async |writer: usize| {
        let by = by(&house);
        let mut written = 0_usize;
        while !stop.load(Ordering::Relaxed) || written < 10 {
            let n = writer * 1000 + written;
            let id = known[(writer * 7 + written * 3) % known.len()];
            let records = &house.worker.records;
            let done = match written % 4 {
                0 => records.create(&open, &fields(&format!(r#"{{"n":{n}}}"#)), &by).await.map(|_| ()),
                1 => records
                    .update(&open, id, &fields(&format!(r#"{{"n":{n}}}"#)), None, &by)
                    .await
                    .map(|_| ()),
                2 => records.update(&open, id, &fields(r#"{"n":null}"#), None, &by).await.map(|_| ()),
                _ => records.delete(&open, known[(writer * 7) % known.len()], None, &by).await.map(|_| ()),
            };
            match done {
                Ok(()) | Err(WriteError::Missing | WriteError::Contended) => {}
                Err(error) => panic!("{error}"),
            }
            written += 1;
        }
    };
    let build = async {
        let ended = house.finish(&job).await;
        stop.store(true, Ordering::Relaxed);
        ended
    };
    let (ended, _) = tokio::join!(build, futures::future::join_all((0..8).map(writer)));
    assert_eq!(ended.state, JobState::Done);
    let open = house.open(&open).await;
    assert_eq!(open.schema.table().indexes[0].state, IndexState::Ready);
    assert_eq!(indexed(&house, &open).await, expected(&house, &open).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_over_values_that_stand_twice_fails_and_names_them() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    let mut of_value: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for n in [1, 2, 3, 2, 4, 5, 3, 6, 7, 8, 9, 10] {
        let id = house.tables.record(&open, &format!(r#"{{"n":{n}}}"#)).await;
        of_value.entry(n).or_default().push(id);
    }
    let (job, open) = house.add_index(&open, true).await;
    let ended = house.finish(&job).await;
    assert!(matches!(&ended.state, JobState::Failed { reason } if reason.contains("unique")), "{ended:?}");
    let pairs: BTreeSet<BTreeSet<&String>> =
        ended.duplicates.iter().map(|(one, other)| BTreeSet::from([one, other])).collect();
    let expect: BTreeSet<BTreeSet<&String>> =
        of_value.values().filter(|ids| ids.len() > 1).map(|ids| ids.iter().collect()).collect();
    assert_eq!(pairs, expect);
    let open = house.open(&open).await;
    let state = &open.schema.table().indexes[0].state;
    assert_eq!(*state, IndexState::Failed { duplicates: ended.duplicates.clone() });
    // It binds nobody any more.
    house.tables.record(&open, r#"{"n":1}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_index_holds_among_writers_while_it_is_built() {
    let house = House::start().await;
    let before = house.tables.table("T", Design::new().integer("n")).await;
    for n in 0..40 {
        house.tables.record(&before, &format!(r#"{{"n":{n}}}"#)).await;
    }
    let (job, open) = house.add_index(&before, true).await;
    let writer = async |_| {
        let by = by(&house);
        let mut made = 0;
        for n in 100..120 {
            match house.worker.records.create(&open, &fields(&format!(r#"{{"n":{n}}}"#)), &by).await {
                Ok(_) => made += 1,
                Err(WriteError::Taken { .. } | WriteError::Contended) => {}
                Err(error) => panic!("{error}"),
            }
        }
        made
    };
    let (ended, made) = tokio::join!(house.finish(&job), futures::future::join_all((0..8).map(writer)));
    assert_eq!(ended.state, JobState::Done);
    assert_eq!(made.iter().sum::<usize>(), 20, "each value was taken once");
    let open = house.open(&open).await;
    let taken = house.worker.records.create(&open, &fields(r#"{"n":7}"#), &by(&house)).await;
    assert!(matches!(taken, Err(WriteError::Taken { .. })), "what was there before is guarded, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_between_the_index_and_its_job_leaves_both_as_they_should_be() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    for n in 0..12 {
        house.tables.record(&open, &format!(r#"{{"n":{n}}}"#)).await;
    }
    let (job, open) = house.add_index(&open, false).await;
    house.ring_for_one_slice(&job).await;
    // The last slice, done by hand up to where the process ends.
    let (index, cursor) = (open.schema.table().indexes[0].id, house.job(&job).await.cursor);
    let last = house.worker.records.build_slice(&open, index, cursor.as_deref(), 10).await.unwrap();
    assert_eq!(last.cursor, None);
    let mut ready = open.schema.table().clone();
    ready.indexes[0].state = IndexState::Ready;
    house.worker.catalog.update_table(open.schema.table(), &ready).await.unwrap();
    assert_eq!(house.finish(&job).await.state, JobState::Done);
    let open = house.open(&open).await;
    assert_eq!(open.schema.table().indexes[0].state, IndexState::Ready);
    assert_eq!(indexed(&house, &open).await, expected(&house, &open).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_was_deleted_meanwhile_ends_its_job() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    for n in 0..30 {
        house.tables.record(&open, &format!(r#"{{"n":{n}}}"#)).await;
    }
    let (job, open) = house.add_index(&open, false).await;
    house.ring_for_one_slice(&job).await;
    let table = open.schema.table();
    let without = domain::Table { indexes: Vec::new(), ..table.clone() };
    house.worker.catalog.update_table(table, &without).await.unwrap();
    let ended = house.finish(&job).await;
    assert_eq!(ended.state, JobState::Failed { reason: "the index was deleted".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_once_its_index_has_failed_leaves_a_job_that_says_why() {
    let pair = || ("A00001ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(), "A00001ARZ3NDEKTSV4RRFFQ69G5FAW".to_owned());
    for (duplicates, expect) in [(vec![pair()], "must be unique"), (Vec::new(), "was given up")] {
        let house = House::start().await;
        let open = house.tables.table("T", Design::new().integer("n")).await;
        let (job, open) = house.add_index(&open, true).await;
        let mut after = open.schema.table().clone();
        after.indexes[0].state = IndexState::Failed { duplicates: duplicates.clone() };
        house.worker.catalog.update_table(open.schema.table(), &after).await.unwrap();
        let ended = house.finish(&job).await;
        assert_eq!(ended.duplicates, duplicates);
        let JobState::Failed { reason } = ended.state else { panic!("{ended:?}") };
        assert!(reason.contains(expect), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_another_job_builds_is_left_to_that_one() {
    let house = House::start().await;
    let open = house.tables.table("T", Design::new().integer("n")).await;
    house.tables.record(&open, r#"{"n":1}"#).await;
    let (job, open) = house.add_index(&open, false).await;
    let mut others = open.schema.table().clone();
    others.indexes[0].state = IndexState::Building { job: "0AJ01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned() };
    house.worker.catalog.update_table(open.schema.table(), &others).await.unwrap();
    let ended = house.finish(&job).await;
    assert_eq!(ended.state, JobState::Failed { reason: "another job builds the index".to_owned() });
    assert_eq!(house.open(&open).await.schema.table().indexes, others.indexes);
}
