use delivery::WriterError;
use zstorage::{Change, ChangeKind, WriteError};

use crate::engine::Mood;
use crate::house::{House, by, named, outbox_link, strict_link};

#[tokio::test(flavor = "multi_thread")]
async fn strict_operations_of_one_batch_on_one_record_follow_one_another() {
    let house = House::start().await;
    let strict = house.queue("strict").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let writer = house.writer();
    let made = writer.create(&table, &named("a"), &by(), false).await.unwrap().written.record;
    let update = |name: &str| ChangeKind::Update { id: made.id, fields: named(name), if_match: None };
    let kinds =
        [update("b"), ChangeKind::Create(named("c")), update("d"), ChangeKind::Create(named("poison"))];
    let changes: Vec<_> =
        kinds.into_iter().map(|kind| Change { table: table.clone(), kind }).enumerate().collect();
    house.engine.mood(Mood::Choosy);
    let answers = writer.each(changes, &by(), false).await.unwrap();
    let versions: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().ok().map(|answer| answer.written.record.version))
        .collect();
    assert_eq!(versions, [Some(2), Some(1), Some(3), None]);
    assert!(matches!(answers[3], Err(WriterError::Refused { .. })));
    assert_eq!(house.engine.bodies("strict").last().unwrap(), "\"d\"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_strict_batch_is_done_in_rounds() {
    let house = House::start().await;
    let strict = house.queue("strict").await;
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let create =
        |at: usize| (at, Change { table: table.clone(), kind: ChangeKind::Create(named(&at.to_string())) });
    let answers = house.writer().each((0..20).map(create).collect(), &by(), false).await.unwrap();
    assert_eq!(answers.len(), 20);
    for (at, answer) in answers.iter().enumerate() {
        let engine_id =
            answer.as_ref().unwrap().messages[0].engine_id.as_ref().map(|known| known.id.as_str()).unwrap();
        let place: usize = engine_id.strip_prefix("sqs-").unwrap().parse().unwrap();
        assert_eq!(
            house.engine.bodies("strict")[place - 1],
            format!("\"{at}\""),
            "each answer is its own operation's"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_all_or_nothing_cannot_be_strict_but_may_have_links() {
    let house = House::start().await;
    let (strict, events) = (house.queue("strict").await, house.queue("events").await);
    let create =
        |table: &zstorage::OpenTable| Change { table: table.clone(), kind: ChangeKind::Create(named("a")) };
    let table = house.students(vec![strict_link(1, &strict)]).await;
    let refused = house.writer().atomic(vec![create(&table)], &by(), false).await.unwrap();
    assert!(matches!(refused[0], Err(WriterError::Write(WriteError::Invalid(_)))));
    let table = house.students(vec![outbox_link(1, &events)]).await;
    let answers = house.writer().atomic(vec![create(&table), create(&table)], &by(), false).await.unwrap();
    let keys: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().messages[0].entry).collect();
    house.ring(&keys).await;
    assert_eq!(house.engine.bodies("events").len(), 2);
}
