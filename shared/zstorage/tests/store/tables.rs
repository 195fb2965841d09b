use std::collections::HashSet;

use domain::{ApiName, IndexId, Job, JobId, JobKind, JobState, Table, TablePage, TableState};
use futures::future::join_all;
use jiff::Timestamp;
use zstorage::{CatalogError, Cursor, Jobs};

use crate::house::House;
use crate::students::{name, students};

#[tokio::test(flavor = "multi_thread")]
async fn every_table_gets_a_prefix_of_its_own_and_of_one_name_there_is_one() {
    let house = House::new().await;
    let catalog = house.catalog();
    let create = async |_| {
        let prefix = catalog.take_table_prefix().await.unwrap();
        let table = students(prefix, domain::Sealed(vec![1]));
        (prefix, catalog.create_table(&table).await)
    };
    let answers = join_all((0..20).map(create)).await;
    let prefixes: HashSet<_> = answers.iter().map(|(prefix, _)| *prefix).collect();
    assert_eq!(prefixes.len(), 20);
    let (done, taken): (Vec<_>, Vec<_>) =
        answers.into_iter().map(|(_, answer)| answer).partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    assert!(taken.into_iter().all(|answer| matches!(answer, Err(CatalogError::Taken { field: "apiName" }))));
}

#[tokio::test]
async fn a_table_is_found_by_name_and_prefix_and_known_for_ten_seconds() {
    let house = House::new().await;
    let (here, there) = (house.catalog(), house.catalog());
    assert!(here.table_by_name(&name("Student")).await.unwrap().is_none());
    let table = house.students(&here, "Student").await;
    let found = there.table_by_name(&name("Student")).await.unwrap().unwrap();
    assert_eq!(*found.table(), table);
    let renamed = Table { api_name: name("Pupil"), label: Some("x".into()), ..table.clone() };
    let now = here.update_table(&table, &renamed).await.unwrap();
    assert_eq!(now.table().version, 2);
    assert!(here.table_by_name(&name("Student")).await.unwrap().is_none(), "who changed it knows at once");
    assert_eq!(here.table_by_name(&name("Pupil")).await.unwrap().unwrap().table().version, 2);
    assert_eq!(there.table_by_prefix(table.prefix).await.unwrap().unwrap().table().version, 1);
    house.hands.turn_secs(10);
    assert_eq!(there.table_by_prefix(table.prefix).await.unwrap().unwrap().table().version, 2);
    assert!(there.table_by_name(&name("Student")).await.unwrap().is_none());
    assert_eq!(house.students(&there, "Student").await.version, 1, "the old name is free");
    let again = there.table_by_prefix(table.prefix).await.unwrap().unwrap();
    house.hands.turn_secs(60);
    let compiled = there.table_by_prefix(table.prefix).await.unwrap().unwrap();
    assert!(std::sync::Arc::ptr_eq(&again, &compiled), "a version is compiled once");
}

#[tokio::test]
async fn a_change_of_a_table_that_was_changed_meanwhile_is_refused() {
    let house = House::new().await;
    let catalog = house.catalog();
    let table = house.students(&catalog, "Student").await;
    house.students(&catalog, "Other").await;
    catalog.update_table(&table, &table).await.unwrap();
    let conflict = |answer: Result<(), CatalogError>| matches!(answer, Err(CatalogError::Conflict));
    assert!(conflict(catalog.update_table(&table, &table).await.map(|_| ())));
    assert!(conflict(catalog.delete_table(&table).await));
    let fresh = catalog.fresh_table(table.prefix).await.unwrap().unwrap();
    let taken = Table { api_name: name("Other"), ..fresh.table().clone() };
    let error = catalog.update_table(fresh.table(), &taken).await.unwrap_err();
    assert!(matches!(error, CatalogError::Taken { field: "apiName" }));
    let unsound = Table { indexes: vec![], fields: vec![], ..fresh.table().clone() };
    let error = catalog.update_table(fresh.table(), &unsound).await.unwrap_err();
    assert!(matches!(&error, CatalogError::Unfit(faults) if !faults.is_empty()), "{error:?}");
    catalog.delete_table(fresh.table()).await.unwrap();
    catalog.delete_table(fresh.table()).await.unwrap();
    assert!(catalog.table_by_name(&name("Student")).await.unwrap().is_none());
    house.students(&catalog, "Student").await;
}

#[tokio::test]
async fn a_table_and_its_job_are_saved_together_or_not_at_all() {
    let house = House::new().await;
    let catalog = house.catalog();
    let jobs = Jobs::new(house.client.clone(), "messages".into(), house.hands.clock());
    let table = house.students(&catalog, "Student").await;
    let job = Job {
        id: JobId::new(Timestamp::UNIX_EPOCH, &mut rand::rng()),
        kind: JobKind::BuildIndex { table: table.prefix, index: IndexId(2) },
        cursor: None,
        slice: 0,
        done: 0,
        duplicates: Vec::new(),
        state: JobState::Running,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    let stale = Table { version: 7, ..table.clone() };
    assert!(catalog.update_table_with_job(&stale, &table, &jobs, &job).await.is_err());
    assert_eq!(jobs.job(job.id).await.unwrap(), None);
    let ending = Table { state: TableState::Deleting, ..table.clone() };
    let now = catalog.update_table_with_job(&table, &ending, &jobs, &job).await.unwrap();
    assert_eq!(now.table().state, TableState::Deleting);
    assert_eq!(jobs.job(job.id).await.unwrap(), Some(job));
}

#[tokio::test]
async fn tables_are_listed_in_pages_and_found_by_part_of_their_names() {
    let house = House::new().await;
    let catalog = house.catalog();
    for at in 0..5 {
        house.students(&catalog, &format!("Student{at}")).await;
    }
    house.students(&catalog, "Invoice").await;
    let mut seen: Vec<String> = Vec::new();
    let mut cursor: Option<Cursor> = None;
    loop {
        let page = catalog.list_tables(None, 4, cursor.as_ref()).await.unwrap();
        seen.extend(page.items.iter().map(|schema| schema.table().api_name.to_string()));
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["Student0", "Student1", "Student2", "Student3", "Student4", "Invoice"]);
    let found = catalog.list_tables(Some("VOI"), 4, None).await.unwrap();
    assert_eq!(found.items.len(), 1);
}

#[tokio::test]
async fn pages_are_kept_changed_listed_and_removed() {
    let house = House::new().await;
    let catalog = house.catalog();
    let page = |text: &str| TablePage {
        name: name(text),
        table: name("Student"),
        columns: vec![name("email"), name("age")],
        filters: vec![("Adults".into(), "age >= 18".into())],
        form: vec![name("email")],
        version: 1,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    for text in ["b", "a", "c"] {
        catalog.create_page(&page(text)).await.unwrap();
    }
    assert!(matches!(catalog.create_page(&page("a")).await, Err(CatalogError::Taken { field: "name" })));
    assert_eq!(catalog.table_page(&name("a")).await.unwrap(), Some(page("a")));
    let changed = catalog.update_page(&page("a"), &TablePage { form: vec![], ..page("a") }).await.unwrap();
    assert_eq!((changed.version, changed.form.len()), (2, 0));
    assert!(matches!(catalog.update_page(&page("a"), &page("a")).await, Err(CatalogError::Conflict)));
    assert!(matches!(catalog.delete_page(&page("a")).await, Err(CatalogError::Conflict)));
    let first = catalog.list_pages(2, None).await.unwrap();
    let cursor = Cursor::of::<ApiName>(&first.next.unwrap().to_string()).unwrap();
    let second = catalog.list_pages(2, Some(&cursor)).await.unwrap();
    let names: Vec<_> = first.items.iter().chain(&second.items).map(|page| page.name.to_string()).collect();
    assert_eq!((names, second.next), (vec!["a".to_owned(), "b".into(), "c".into()], None));
    catalog.delete_page(&changed).await.unwrap();
    catalog.delete_page(&changed).await.unwrap();
    assert_eq!(catalog.table_page(&name("a")).await.unwrap(), None);
}
