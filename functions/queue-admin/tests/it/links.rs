use domain::{
    ApiName, Link, LinkId, LinkMode, LinkPayload, Operations, QueueId, QueueState, Sealed, Table,
    TablePrefix, TableState,
};

use crate::house::House;

/// A link that is off.
fn link(table: TablePrefix, number: u32, queue: QueueId) -> Link {
    Link {
        id: LinkId { table, number },
        queue,
        on: Operations::WRITES,
        mode: LinkMode::Outbox,
        condition: None,
        only_fields: Vec::new(),
        handler: None,
        payload: LinkPayload::Whole,
        ordering_key: None,
        enabled: false,
    }
}

/// A table with a link to each of `queues`.
async fn linked(house: &House, name: &str, queues: &[QueueId]) -> Table {
    let catalog = &house.store.catalog;
    let (prefix, now) = (catalog.take_table_prefix().await.unwrap(), house.store.clock.now());
    let link = |(at, queue): (usize, &QueueId)| link(prefix, at as u32 + 1, *queue);
    let table = Table {
        prefix,
        api_name: ApiName::parse(name).unwrap(),
        label: None,
        fields: Vec::new(),
        next_field: 1,
        rules: Vec::new(),
        indexes: Vec::new(),
        next_index: 1,
        links: queues.iter().enumerate().map(link).collect(),
        next_link: queues.len() as u32 + 1,
        buckets: 4,
        data_key: Sealed(Vec::new()),
        state: TableState::Ready,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    catalog.create_table(&table).await.unwrap();
    table
}

fn link_of(table: TablePrefix, number: u32) -> String {
    LinkId { table, number }.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_links_point_to_stays_and_they_are_named_to_who_may_see_their_tables() {
    let house = House::start().await;
    let id = house.made(r#"{"name":"orders","type":"sqs"}"#).await;
    let (orders, line) = (id.parse().unwrap(), format!("DELETE /queue/{id}"));
    let other = house.made(r#"{"name":"other","type":"sqs"}"#).await.parse().unwrap();
    let student = linked(&house, "Student", &[other, orders, orders]).await;
    let course = linked(&house, "Course", &[orders]).await;
    let refused = house.want(409, &line, "").await;
    let named: Vec<_> = [(&student, 2), (&student, 3), (&course, 1)]
        .map(|(table, number)| (table.api_name.to_string(), link_of(table.prefix, number)))
        .into();
    let told = refused.json()["links"].as_array().unwrap().clone();
    let told: Vec<_> = told
        .iter()
        .map(|link| (link["table"].as_str().unwrap().to_owned(), link["link"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(told, named, "{}", refused.text);
    for (table, link) in &named {
        assert!(refused.text.contains(&format!("{link} of table {table}")), "{}", refused.text);
    }
    let key = house.store.key(&["queue:write:*", "table:read:Course"]).await;
    let refused = house.ask_as(&key, &line, "").await;
    assert_eq!((refused.status, refused.json()["links"].as_array().unwrap().len()), (409, 1));
    assert!(refused.text.contains("2 of tables") && !refused.text.contains("Student"), "{}", refused.text);
    let state = house.want(200, &format!("GET /queue/{id}"), "").await.json()["state"].clone();
    assert_eq!(state, "ready", "a queue that stays is in use all the while");
    assert!(house.engine.queues().contains(&"ql-orders".to_owned()));
    let catalog = &house.store.catalog;
    catalog.update_table(&student, &Table { links: Vec::new(), ..student.clone() }).await.unwrap();
    house.want(409, &line, "").await;
    let deleting = Table { state: TableState::Deleting, ..course.clone() };
    catalog.update_table(&course, &deleting).await.unwrap();
    house.want(204, &line, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_deletion_and_a_new_link_at_once_one_is_refused_and_the_other_whole() {
    let house = House::start().await;
    let catalog = &house.store.catalog;
    for round in 0..60 {
        let id = house.made(&format!(r#"{{"name":"q{round}","type":"sqs"}}"#)).await;
        let queue: QueueId = id.parse().unwrap();
        let table = linked(&house, &format!("T{round}"), &[]).await;
        let with_link = Table { links: vec![link(table.prefix, 1, queue)], next_link: 2, ..table.clone() };
        let saved = async {
            // At another moment each time: before the deletion looks for links, after that, and after it is marked.
            for _ in 0..round % 6 {
                catalog.fresh_table(table.prefix).await.unwrap();
            }
            catalog.update_table_with_queue(&table, &with_link, queue).await
        };
        let line = format!("DELETE /queue/{id}");
        let (deleted, saved) = tokio::join!(house.ask(&line, ""), saved);
        let left = catalog.fresh_queue(queue).await.unwrap().map(|queue| queue.state);
        let expect = if saved.is_ok() { (409, Some(QueueState::Ready)) } else { (204, None) };
        assert_eq!((deleted.status, left), expect, "{saved:?} {}", deleted.text);
        let there = house.engine.queues().contains(&format!("ql-q{round}"));
        assert_eq!(there, saved.is_ok(), "{}", deleted.text);
    }
}
