use domain::{Queue, QueueId, QueueName, Sealed, WorkerMode};
use futures::future::join_all;
use zstorage::{CatalogError, Cursor, create_tables};

use crate::house::{House, NAMES, queue};

fn name(text: &str) -> QueueName {
    QueueName::parse(text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_made_once_and_found_the_second_time() {
    let house = House::new().await;
    create_tables(&house.client, NAMES).await.unwrap();
    let ttl = house.client.describe_time_to_live().table_name("messages").send().await.unwrap();
    assert_eq!(ttl.time_to_live_description.unwrap().attribute_name.as_deref(), Some("expires-at"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_100_parallel_creates_with_one_name_exactly_one_wins() {
    let house = House::new().await;
    let tries = (0..100).map(|at| {
        let catalog = house.catalog();
        let mut queue = queue("orders");
        queue.worker = if at % 2 == 0 { WorkerMode::Attached } else { WorkerMode::None };
        async move { (queue.id, catalog.create_queue(&queue).await) }
    });
    let results = join_all(tries).await;
    let winners: Vec<_> = results.iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| *id).collect();
    assert_eq!(winners.len(), 1);
    for (_, result) in &results {
        if let Err(error) = result {
            assert!(matches!(error, CatalogError::Taken { field: "name" }), "{error:?}");
            assert!(error.is_conflict() && !error.is_retryable());
        }
    }
    let found = house.catalog().queue_by_name(&name("orders")).await.unwrap().unwrap();
    assert_eq!(found.id, winners[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sqs_queue_of_our_own_role_has_one_registration() {
    let house = House::new().await;
    let catalog = house.catalog();
    let first = queue("orders");
    catalog.create_queue(&first).await.unwrap();
    let arn = first.sqs().unwrap().arn();
    for worker in [WorkerMode::Attached, WorkerMode::None] {
        let second =
            Queue { name: name("orders-too"), destination: first.destination.clone(), worker, ..queue("x") };
        let refused = catalog.create_queue(&second).await.unwrap_err();
        assert!(matches!(refused, CatalogError::Taken { field: "url" }), "{refused:?}");
    }
    // Who has credentials of that queue's owner needs none of our rights. Nothing of the refused ones is left: the name is free.
    let sealed = Some(Sealed(vec![1]));
    let foreign = Queue {
        name: name("orders-too"),
        destination: first.destination.clone(),
        credentials: sealed,
        worker: WorkerMode::None,
        ..queue("x")
    };
    catalog.create_queue(&foreign).await.unwrap();
    assert_eq!(catalog.queue_by_arn(&arn).await.unwrap().unwrap().id, first.id);
    let ours = Queue { credentials: None, ..foreign.clone() };
    let refused = catalog.update_queue(&foreign, &ours).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Taken { field: "url" }), "{refused:?}");
    // Once the first is gone, the second may.
    catalog.delete_queue(&first).await.unwrap();
    catalog.update_queue(&foreign, &ours).await.unwrap();
    assert_eq!(house.catalog().queue_by_arn(&arn).await.unwrap().unwrap().id, foreign.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_found_by_id_name_and_arn_and_a_miss_is_always_read() {
    let house = House::new().await;
    let (here, there) = (house.catalog(), house.catalog());
    let new = queue("orders");
    let arn = new.sqs().unwrap().arn();
    assert!(there.queue_by_id(new.id).await.unwrap().is_none());
    assert!(there.queue_by_name(&new.name).await.unwrap().is_none());
    assert!(there.queue_by_arn(&arn).await.unwrap().is_none());
    here.create_queue(&new).await.unwrap();
    assert_eq!(*there.queue_by_id(new.id).await.unwrap().unwrap(), new);
    assert_eq!(*there.queue_by_name(&new.name).await.unwrap().unwrap(), new);
    assert_eq!(*there.queue_by_arn(&arn).await.unwrap().unwrap(), new);
    assert!(there.queue_by_name(&name("Orders")).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_known_here_at_once_and_elsewhere_within_ten_seconds() {
    let house = House::new().await;
    let (here, there) = (house.catalog(), house.catalog());
    let old = queue("orders");
    here.create_queue(&old).await.unwrap();
    there.queue_by_name(&old.name).await.unwrap().unwrap();
    let new = Queue { max_failures: 7, version: 99, ..old.clone() };
    let stored = here.update_queue(&old, &new).await.unwrap();
    assert_eq!((stored.version, stored.max_failures), (2, 7));
    assert_eq!(here.queue_by_id(old.id).await.unwrap().unwrap().version, 2);
    assert_eq!(here.queue_by_name(&old.name).await.unwrap().unwrap().version, 2);
    assert_eq!(there.queue_by_name(&old.name).await.unwrap().unwrap().version, 1);
    assert_eq!(there.fresh_queue(old.id).await.unwrap().unwrap().version, 2);
    let third = house.catalog();
    here.update_queue(&stored, &stored).await.unwrap();
    assert_eq!(third.queue_by_id(old.id).await.unwrap().unwrap().version, 3);
    house.hands.turn_secs(9);
    assert_eq!(there.queue_by_id(old.id).await.unwrap().unwrap().version, 2);
    house.hands.turn_secs(1);
    assert_eq!(there.queue_by_id(old.id).await.unwrap().unwrap().version, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_changes_of_one_version_exactly_one_is_kept() {
    let house = House::new().await;
    let old = queue("orders");
    house.catalog().create_queue(&old).await.unwrap();
    let changes = (1..=10).map(|max_failures| {
        let (catalog, old) = (house.catalog(), old.clone());
        async move { catalog.update_queue(&old, &Queue { max_failures, ..old.clone() }).await }
    });
    let results = join_all(changes).await;
    let kept: Vec<_> = results.iter().flatten().collect();
    assert_eq!(kept.len(), 1);
    assert!(results.iter().all(|r| r.is_ok() || matches!(r, Err(CatalogError::Conflict))));
    assert_eq!(*house.catalog().fresh_queue(old.id).await.unwrap().unwrap(), **kept[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rename_frees_the_old_name_and_takes_the_new_one_or_does_nothing() {
    let house = House::new().await;
    let catalog = house.catalog();
    let (old, other) = (queue("orders"), queue("invoices"));
    catalog.create_queue(&old).await.unwrap();
    catalog.create_queue(&other).await.unwrap();
    let refused =
        catalog.update_queue(&old, &Queue { name: name("invoices"), ..old.clone() }).await.unwrap_err();
    assert!(matches!(refused, CatalogError::Taken { field: "name" }));
    assert_eq!(catalog.queue_by_name(&name("orders")).await.unwrap().unwrap().id, old.id);
    let renamed = catalog.update_queue(&old, &Queue { name: name("sales"), ..old.clone() }).await.unwrap();
    assert_eq!(catalog.queue_by_name(&name("sales")).await.unwrap().unwrap().id, old.id);
    assert!(catalog.queue_by_name(&name("orders")).await.unwrap().is_none());
    // The SQS queue keeps its own name, so an heir of the old name stands elsewhere.
    let heir = Queue { destination: queue("orders-2").destination, ..queue("orders") };
    catalog.create_queue(&heir).await.unwrap();
    // A stale copy neither changes nor deletes.
    assert!(matches!(catalog.update_queue(&old, &old).await, Err(CatalogError::Conflict)));
    assert!(matches!(catalog.delete_queue(&old).await, Err(CatalogError::Conflict)));
    assert_eq!(catalog.fresh_queue(old.id).await.unwrap().unwrap(), renamed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_leaves_nothing_behind_and_may_be_deleted_again() {
    let house = House::new().await;
    let catalog = house.catalog();
    let old = queue("orders");
    catalog.create_queue(&old).await.unwrap();
    catalog.delete_queue(&old).await.unwrap();
    assert_eq!(house.items("catalog").await, 0);
    assert!(catalog.queue_by_id(old.id).await.unwrap().is_none());
    assert!(catalog.queue_by_name(&old.name).await.unwrap().is_none());
    let heir = queue("orders");
    catalog.create_queue(&heir).await.unwrap();
    catalog.delete_queue(&old).await.unwrap();
    assert_eq!(catalog.queue_by_name(&old.name).await.unwrap().unwrap().id, heir.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_list_hold_every_match_exactly_once() {
    let house = House::new().await;
    let catalog = house.catalog();
    let names: Vec<String> =
        (0..23).map(|at| if at % 3 == 0 { format!("Orders-{at}") } else { format!("mail-{at}") }).collect();
    let mut made: Vec<Queue> = names.iter().map(|name| queue(name)).collect();
    for queue in &made {
        catalog.create_queue(queue).await.unwrap();
    }
    made.sort_by_key(|queue| queue.id);
    let check = async |search: Option<&str>, limit: usize| {
        let folded = search.unwrap_or_default().to_lowercase();
        let expect: Vec<_> =
            made.iter().filter(|q| q.name.as_str().to_lowercase().contains(&folded)).map(|q| q.id).collect();
        let (mut found, mut cursor, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = catalog.list_queues(search, limit, cursor.as_ref()).await.unwrap();
            assert!(page.items.len() <= limit.max(1));
            found.extend(page.items.iter().map(|queue| queue.id));
            pages += 1;
            let Some(next) = page.next else { break };
            cursor = Some(Cursor::of::<QueueId>(&next.to_string()).unwrap());
        }
        assert_eq!(found, expect, "{search:?} by {limit}");
        assert_eq!(pages, expect.len().div_ceil(limit.max(1)).max(1), "no page is empty but an only one");
    };
    for limit in [0, 1, 4, 8, 22, 23, 24, 100] {
        check(None, limit).await;
        check(Some(""), limit).await;
        check(Some("ORDERS"), limit).await;
        check(Some("mail-1"), limit).await;
        check(Some("nothing"), limit).await;
    }
}
