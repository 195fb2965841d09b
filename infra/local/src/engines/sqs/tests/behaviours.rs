//! What becomes of messages over time, as a table: a queue `work` with a dead-letter queue `dead` (two receives are
//! allowed), and steps with what they must find.

use super::stage::{
    Attributes, Stage,
    Step::{self, Ack, After, Back, Counts, Dead, Find, Redrive, Refused, Send, SendIn, SendLate},
};

/// What each queue `work` here starts with.
const PLAIN: Attributes = &[("VisibilityTimeout", "30")];
const FIFO: Attributes = &[("VisibilityTimeout", "30"), ("FifoQueue", "true")];
const BY_CONTENT: Attributes = &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")];
const PER_GROUP: Attributes = &[
    ("FifoQueue", "true"),
    ("DeduplicationScope", "messageGroup"),
    ("FifoThroughputLimit", "perMessageGroupId"),
];

const BEHAVIOURS: &[(&str, Attributes, &[Step])] = &[
    ("an empty queue gives nothing", PLAIN, &[Find(&[]), Counts(0, 0, 0)]),
    ("a sent message is received", PLAIN, &[Send("a"), Counts(1, 0, 0), Find(&["a"])]),
    ("a received message is hidden", PLAIN, &[Send("a"), Find(&["a"]), Find(&[]), Counts(0, 1, 0)]),
    (
        "a lapsed message comes again",
        PLAIN,
        &[Send("a"), Find(&["a"]), After(29), Find(&[]), After(1), Find(&["a"])],
    ),
    (
        "a deleted message never comes again",
        PLAIN,
        &[Send("a"), Find(&["a"]), Ack("a"), After(60), Find(&[]), Counts(0, 0, 0)],
    ),
    ("deleting twice is no error", PLAIN, &[Send("a"), Find(&["a"]), Ack("a"), Ack("a")]),
    (
        "a lapsed message can still be deleted",
        PLAIN,
        &[Send("a"), Find(&["a"]), After(31), Ack("a"), Find(&[])],
    ),
    (
        "ten come at once at most",
        PLAIN,
        &[
            Send("0"),
            Send("1"),
            Send("2"),
            Send("3"),
            Send("4"),
            Send("5"),
            Send("6"),
            Send("7"),
            Send("8"),
            Send("9"),
            Send("10"),
            Find(&["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
            Find(&["10"]),
        ],
    ),
    (
        "a message given back is visible at once",
        PLAIN,
        &[Send("a"), Find(&["a"]), Back("a", 0), Counts(1, 0, 0), Find(&["a"])],
    ),
    (
        "a visibility can be made longer",
        PLAIN,
        &[Send("a"), Find(&["a"]), Back("a", 100), After(99), Find(&[]), After(1), Find(&["a"])],
    ),
    (
        "a visibility can be made shorter",
        PLAIN,
        &[Send("a"), Find(&["a"]), Back("a", 5), After(5), Find(&["a"])],
    ),
    (
        "what is not in flight cannot be given back",
        PLAIN,
        &[
            Send("a"),
            Find(&["a"]),
            After(30),
            Refused(&Back("a", 5), "AWS.SimpleQueueService.MessageNotInflight"),
        ],
    ),
    (
        "what is deleted cannot be given back",
        PLAIN,
        &[Send("a"), Find(&["a"]), Ack("a"), Refused(&Back("a", 5), "InvalidParameterValue")],
    ),
    (
        "in flight for twelve hours in all",
        PLAIN,
        &[
            Send("a"),
            Find(&["a"]),
            After(20),
            Refused(&Back("a", 43_200), "InvalidParameterValue"),
            Back("a", 43_180),
        ],
    ),
    (
        "a delayed message waits",
        PLAIN,
        &[SendLate("a", 10), Counts(0, 0, 1), Find(&[]), After(10), Counts(1, 0, 0), Find(&["a"])],
    ),
    (
        "a queue delays what says nothing else",
        &[("DelaySeconds", "10")],
        &[Send("a"), SendLate("b", 0), Find(&["b"]), After(10), Find(&["a"])],
    ),
    (
        "messages outlive nobody beyond the retention",
        &[("MessageRetentionPeriod", "60")],
        &[
            Send("a"),
            After(30),
            Send("b"),
            After(30),
            Find(&["b"]),
            Counts(0, 1, 0),
            After(30),
            Find(&[]),
            Counts(0, 0, 0),
        ],
    ),
    (
        "the third receive finds the message in the dead-letter queue",
        PLAIN,
        &[Send("a"), Find(&["a"]), After(30), Find(&["a"]), After(30), Dead(&[]), Find(&[]), Dead(&["a"])],
    ),
    (
        "a dead letter does not hide those behind it",
        PLAIN,
        &[
            Send("a"),
            Find(&["a"]),
            Back("a", 0),
            Find(&["a"]),
            Back("a", 0),
            Send("b"),
            Find(&["b"]),
            Dead(&["a"]),
        ],
    ),
    (
        "a dead letter can be moved back, with its count at nought",
        PLAIN,
        &[
            Send("a"),
            Find(&["a"]),
            After(30),
            Find(&["a"]),
            After(30),
            Find(&[]),
            Redrive,
            Dead(&[]),
            Find(&["a"]),
            After(30),
            Find(&["a"]),
            After(30),
            Find(&[]),
            Dead(&["a"]),
        ],
    ),
    (
        "a move leaves what is in flight",
        PLAIN,
        &[
            Send("a"),
            Find(&["a"]),
            Back("a", 0),
            Find(&["a"]),
            Back("a", 0),
            Find(&[]),
            Dead(&["a"]),
            Redrive,
            Find(&[]),
        ],
    ),
    (
        "a FIFO queue keeps its order",
        FIFO,
        &[SendIn("A", "1", "a1"), SendIn("B", "2", "b1"), SendIn("A", "3", "a2"), Find(&["a1", "b1", "a2"])],
    ),
    (
        "a FIFO group is closed while one of it is in flight",
        FIFO,
        &[
            SendIn("A", "1", "a1"),
            Find(&["a1"]),
            SendIn("A", "2", "a2"),
            SendIn("B", "3", "b1"),
            Find(&["b1"]),
            Ack("a1"),
            Find(&["a2"]),
        ],
    ),
    (
        "a lapsed FIFO message comes before its followers",
        FIFO,
        &[
            SendIn("A", "1", "a1"),
            Find(&["a1"]),
            SendIn("A", "2", "a2"),
            Find(&[]),
            After(30),
            Find(&["a1", "a2"]),
        ],
    ),
    (
        "a FIFO message given back opens its group",
        FIFO,
        &[
            SendIn("A", "1", "a1"),
            SendIn("A", "2", "a2"),
            Find(&["a1", "a2"]),
            Back("a1", 0),
            Find(&[]),
            Back("a2", 0),
            Find(&["a1", "a2"]),
        ],
    ),
    (
        "a lapsed FIFO message cannot be deleted",
        FIFO,
        &[
            SendIn("A", "1", "a1"),
            Find(&["a1"]),
            After(30),
            Refused(&Ack("a1"), "InvalidParameterValue"),
            Find(&["a1"]),
            Ack("a1"),
        ],
    ),
    (
        "an equal deduplication id is taken once in five minutes",
        FIFO,
        &[
            SendIn("A", "1", "a"),
            SendIn("A", "1", "b"),
            Counts(1, 0, 0),
            After(299),
            SendIn("A", "1", "c"),
            Counts(1, 0, 0),
            After(1),
            SendIn("A", "1", "d"),
            Counts(2, 0, 0),
        ],
    ),
    (
        "deduplication remembers deleted messages",
        FIFO,
        &[
            SendIn("A", "1", "a"),
            Find(&["a"]),
            Ack("a"),
            SendIn("A", "1", "a"),
            Find(&[]),
            After(300),
            SendIn("A", "1", "a"),
            Find(&["a"]),
        ],
    ),
    ("deduplication spans groups", FIFO, &[SendIn("A", "1", "a"), SendIn("B", "1", "b"), Find(&["a"])]),
    (
        "deduplication can be per group",
        PER_GROUP,
        &[SendIn("A", "1", "a"), SendIn("B", "1", "b"), SendIn("B", "1", "c"), Find(&["a", "b"])],
    ),
    (
        "content can be the deduplication id",
        BY_CONTENT,
        &[SendIn("A", "", "a"), SendIn("B", "", "a"), SendIn("A", "", "b"), Find(&["a", "b"])],
    ),
    (
        "a FIFO queue can delay as a whole, in order",
        &[("FifoQueue", "true"), ("DelaySeconds", "10")],
        &[
            SendIn("A", "1", "a1"),
            After(5),
            SendIn("A", "2", "a2"),
            Find(&[]),
            After(5),
            Find(&["a1"]),
            Ack("a1"),
            Find(&[]),
            After(5),
            Find(&["a2"]),
        ],
    ),
    (
        "a FIFO dead letter opens its group",
        FIFO,
        &[
            SendIn("A", "1", "a1"),
            Find(&["a1"]),
            After(30),
            Find(&["a1"]),
            SendIn("A", "2", "a2"),
            Find(&[]),
            After(30),
            Find(&["a2"]),
            Dead(&["a1"]),
        ],
    ),
];

#[tokio::test]
async fn every_behaviour_of_the_table_holds() {
    let mut broken = Vec::new();
    for (sentence, attributes, steps) in BEHAVIOURS {
        let mut stage = Stage::set(attributes).await;
        for (number, step) in steps.iter().enumerate() {
            if let Err(found) = stage.step(step).await {
                broken.push(format!("{sentence}: step {}: {found}", number + 1));
                break;
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
