use domain::{
    ApiName, Link, LinkId, LinkMode, LinkPayload, Operations, QueueId, Sealed, Table, TablePrefix, TableState,
};

use crate::house::House;

/// A table with a link to each of `queues`.
async fn linked(house: &House, name: &str, queues: &[QueueId]) -> Table {
    let catalog = &house.store.catalog;
    let (prefix, now) = (catalog.take_table_prefix().await.unwrap(), house.store.clock.now());
    let link = |(at, queue): (usize, &QueueId)| Link {
        id: LinkId { table: prefix, number: at as u32 + 1 },
        queue: *queue,
        on: Operations::WRITES,
        mode: LinkMode::Outbox,
        condition: None,
        only_fields: Vec::new(),
        handler: None,
        payload: LinkPayload::Whole,
        ordering_key: None,
        enabled: false,
    };
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
