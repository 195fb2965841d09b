//! Whatever happens to held writes, in whatever order, and wherever a process ends: a record and its message stand or fall together.

use std::collections::{BTreeMap, HashSet};

use domain::{EntryKey, EntryState, LinkMode, OutboxEntry, RecordId};
use proptest::prelude::*;
use zstorage::{OpenTable, Records, Settled, WriteError, Written};

use crate::house::{House, key_id};
use crate::linked::{link, linked, parked, published};
use crate::students::{by, keyed, raw};
use crate::troubled::Trouble::{self, LostAfter, LostBefore};
use crate::troubled::Troubled;

/// Records that a run is about, by the order they were made in.
const RECORDS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Create {
        email: u8,
        key: bool,
    },
    Update {
        record: usize,
        email: u8,
    },
    Delete {
        record: usize,
    },
    /// Of all held writes that there ever were, one; by a writer or by a worker that holds its message.
    Apply {
        write: usize,
    },
    Undo {
        write: usize,
    },
    Lease {
        write: usize,
    },
    /// By a sweeper that has had this lease.
    GiveUp {
        write: usize,
        lease: u64,
    },
    Wait,
    Again {
        key: usize,
    },
}

/// Where the process ends that does a step: its last calls do not arrive, or their answers.
#[derive(Debug, Clone, Copy)]
enum End {
    Well,
    Killed(usize, Trouble),
}

fn steps() -> impl Strategy<Value = Vec<(Step, End)>> {
    let write = || 0..6_usize;
    let step = prop_oneof![
        3 => (0..3_u8, any::<bool>()).prop_map(|(email, key)| Step::Create { email, key }),
        3 => (0..RECORDS, 0..3_u8).prop_map(|(record, email)| Step::Update { record, email }),
        1 => (0..RECORDS).prop_map(|record| Step::Delete { record }),
        4 => write().prop_map(|write| Step::Apply { write }),
        3 => write().prop_map(|write| Step::Undo { write }),
        2 => write().prop_map(|write| Step::Lease { write }),
        1 => (write(), 0..3_u64).prop_map(|(write, lease)| Step::GiveUp { write, lease }),
        1 => Just(Step::Wait),
        1 => (0..3_usize).prop_map(|key| Step::Again { key }),
    ];
    let end = prop_oneof![
        4 => Just(End::Well),
        1 => (0..4_usize, prop_oneof![Just(LostBefore), Just(LostAfter)]).prop_map(|(after, trouble)| End::Killed(after, trouble)),
    ];
    proptest::collection::vec((step, end), 1..24)
}

/// A write that was held, and what is known to have become of it.
#[derive(Debug, Clone)]
struct Write {
    entry: OutboxEntry,
    /// Some call said so.
    stands: bool,
    undone: bool,
    /// Nobody knows: the answer was lost.
    perhaps_undone: bool,
}

struct Run {
    house: House,
    open: OpenTable,
    caller: domain::KeyId,
    writes: Vec<Write>,
    records: Vec<RecordId>,
    keys: Vec<(String, u8)>,
}

impl Run {
    async fn new() -> Run {
        let open = linked(vec![link(1, LinkMode::Strict), link(2, LinkMode::Outbox)]).await;
        let house = House::new().await;
        Run { house, open, caller: key_id(), writes: Vec::new(), records: Vec::new(), keys: Vec::new() }
    }

    /// A process that ends as it is told to.
    fn process(&self, end: End) -> Records {
        let troubles: Vec<Trouble> = match end {
            End::Well => Vec::new(),
            End::Killed(after, trouble) => {
                let before = std::iter::repeat_n(Trouble::None, after);
                before.chain(std::iter::repeat_n(trouble, 200)).collect()
            }
        };
        let client = Troubled::told(&troubles).client(&self.house);
        let outbox = self.house.outbox_over(client.clone());
        Records::new(client, "records".into(), outbox, self.house.hands.clock())
    }

    fn note(&mut self, answer: Result<Written, WriteError>, created: bool) {
        if let Ok(written) = answer
            && !written.replayed
        {
            if created {
                self.records.push(written.record.id);
            }
            if let Some(held) = written.held {
                let entry = held.entry;
                self.writes.push(Write { entry, stands: false, undone: false, perhaps_undone: false });
            }
        }
    }

    /// The last write under the same key: one that is undone leaves it to the next.
    fn newest(&self, at: usize) -> usize {
        let key = self.writes[at].entry.key;
        self.writes.iter().rposition(|write| write.entry.key == key).unwrap()
    }

    fn write(&self, at: usize) -> Option<usize> {
        (!self.writes.is_empty()).then(|| at % self.writes.len())
    }

    async fn step(&mut self, step: &Step, end: End) {
        let process = self.process(end);
        let fields =
            |email: u8| raw(&format!(r#"{{"email":"{email}@b.cd","age":{}}}"#, self.writes.len() + 1));
        match *step {
            Step::Create { email, key } => {
                let name = format!("key {}", self.keys.len());
                let by = if key { keyed(self.caller, &name, 1) } else { by(self.caller) };
                let fields = if key { raw(&format!(r#"{{"email":"{email}@b.cd"}}"#)) } else { fields(email) };
                let answer = process.create(&self.open, &fields, &by).await;
                if key {
                    self.keys.push((name, email));
                }
                self.note(answer, true);
            }
            Step::Update { record, email } => {
                let Some(id) = self.records.get(record).copied() else { return };
                let fields = fields(email);
                let answer = process.update(&self.open, id, &fields, None, &by(self.caller)).await;
                self.note(answer, false);
            }
            Step::Delete { record } => {
                let Some(id) = self.records.get(record).copied() else { return };
                let answer = process.delete(&self.open, id, None, &by(self.caller)).await;
                self.note(answer, false);
            }
            Step::Apply { write } => {
                let Some(at) = self.write(write) else { return };
                let settled = process.apply(&self.writes[at].entry.key, published(), None).await;
                self.settled(at, settled.ok());
            }
            Step::GiveUp { write, lease } => {
                let Some(at) = self.write(write) else { return };
                let settled = process.apply(&self.writes[at].entry.key, parked(), Some(lease)).await;
                self.settled(at, settled.ok());
            }
            Step::Undo { write } => {
                let Some(at) = self.write(write) else { return };
                let leased =
                    self.house.entry(&self.writes[at].entry.key).await.is_some_and(|entry| entry.lease > 0);
                match process.undo(&self.writes[at].entry).await {
                    // Where another write has the key by now, that one was leased.
                    Ok(true) => {
                        let is_newest = self.newest(at) == at;
                        assert!(!(leased && is_newest), "what was leased was undone");
                        self.writes[at].undone = true;
                    }
                    Ok(false) => {}
                    Err(_) => self.writes[at].perhaps_undone = true,
                }
            }
            Step::Lease { write } => {
                let Some(at) = self.write(write) else { return };
                let outbox = self.house.outbox();
                drop(outbox.lease(&self.writes[at].entry.key, 60).await.unwrap());
            }
            Step::Wait => self.house.hands.turn_secs(61),
            Step::Again { key } => {
                let Some((name, email)) = self.keys.get(key).cloned() else { return };
                let fields = raw(&format!(r#"{{"email":"{email}@b.cd"}}"#));
                let answer = process.create(&self.open, &fields, &keyed(self.caller, &name, 1)).await;
                self.note(answer, true);
            }
        }
    }

    fn settled(&mut self, at: usize, settled: Option<Settled>) {
        match settled {
            Some(Settled::Now | Settled::Before(_)) => {
                let newest = self.newest(at);
                self.writes[newest].stands = true;
            }
            Some(Settled::Undone) => assert!(!self.writes[at].stands),
            Some(Settled::Outrun) | None => {}
        }
    }

    /// What must be true between any two steps.
    async fn check(&self) {
        let (records, outbox) = (self.house.all("records").await, self.house.all("outbox").await);
        let mut entries: BTreeMap<(String, String), EntryState> = BTreeMap::new();
        let (mut plans, mut held) = (HashSet::new(), HashSet::new());
        for ((pk, sk), item) in &outbox {
            if let Some((link, version)) = sk.strip_prefix("e#").and_then(|rest| rest.split_once('#')) {
                let state = EntryState::of_word(item["state"].as_s().unwrap()).unwrap();
                let strict = link.ends_with("000001");
                if strict && state == EntryState::Held {
                    let version: u64 = version.parse().unwrap();
                    held.insert(format!("{pk}.{link}.{version}"));
                }
                assert!(strict || state == EntryState::Due);
                entries.insert((pk.clone(), sk.clone()), state);
            } else if let Some(rest) = sk.strip_prefix("h#") {
                plans.insert((pk.clone(), rest.rsplit_once('#').unwrap().0.to_owned()));
            }
        }
        // Each held entry has what it carries, and nothing else is carried.
        let of_held = |key: &String| {
            let key: EntryKey = key.parse().unwrap();
            let EntryKey::Link { record, link, version } = key else { panic!() };
            (record.to_string(), format!("{link}#{version:012}"))
        };
        assert_eq!(plans, held.iter().map(of_held).collect::<HashSet<_>>());
        // One record is held by one write.
        assert_eq!(plans.iter().map(|(pk, _)| pk).collect::<HashSet<_>>().len(), plans.len());
        let mut emails = BTreeMap::new();
        for ((_, sk), item) in &records {
            if let Some(by) =
                item.get("held-by").or_else(|| item.get("held").filter(|_| item.contains_key("outcomes")))
            {
                assert!(held.contains(by.as_s().unwrap()), "locked by a write that is not held: {by:?}");
            }
            let Ok(id) = sk.parse::<RecordId>() else { continue };
            // A record has a message for every version, on its way or on its queue; a held one is not among them.
            let version: u64 = item["v"].as_n().unwrap().parse().unwrap();
            for link in ["000001", "000002"] {
                let of_link = entries.iter().filter(|((pk, sk), state)| {
                    *pk == id.to_string() && sk.contains(&format!("{link}#")) && **state != EntryState::Held
                });
                assert_eq!(of_link.count() as u64, version, "{id}");
            }
            assert_eq!(emails.insert(item["f1"].as_s().unwrap().clone(), id), None, "two have one address");
        }
        // Without a record there is either no message that could be sent, or one that tells of a removal.
        for ((pk, _), state) in &entries {
            let stands = records.keys().any(|(_, sk)| sk == pk);
            if !stands && *state != EntryState::Held {
                let removed = outbox.iter().any(|((other, _), item)| {
                    other == pk
                        && item.get("operation").is_some_and(|o| o.as_s().unwrap() == "delete")
                        && item.contains_key("state")
                });
                assert!(removed, "a message without its record: {pk}");
            }
        }
        // A value is guarded by who has it or is about to have it, and by nobody else.
        let guards: Vec<_> = records.iter().filter(|((_, sk), _)| sk == "guard").collect();
        for (_, guard) in &guards {
            let holder = guard["id"].as_s().unwrap();
            let stands = records.keys().any(|(_, sk)| sk == holder);
            let is_about_to = guard.get("held").is_some_and(|by| held.contains(by.as_s().unwrap()));
            assert!(stands || is_about_to, "a guard of nobody");
        }
        assert!(guards.len() >= emails.len());
        for write in &self.writes {
            assert!(!(write.stands && write.undone), "{write:?}");
            let entry = self.house.entry(&write.entry.key).await;
            let own =
                entry.filter(|entry| entry.message_id == write.entry.message_id).map(|entry| entry.state);
            let is_well = match (write.undone, write.stands) {
                (true, _) => own.is_none(),
                (_, true) => matches!(own, Some(EntryState::Published | EntryState::Parked)),
                // Not to be found only where it may have been undone.
                _ => own.is_some() || write.perhaps_undone,
            };
            assert!(is_well, "{own:?} {write:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn a_record_and_its_message_stand_or_fall_together_in_any_order_of_events(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut run = Run::new().await;
            for (step, end) in &steps {
                run.step(step, *end).await;
                run.check().await;
            }
            // The sweeper comes to all that is left, and then nothing is.
            let left = run.house.outbox_keys_held(&run.open).await;
            for key in left {
                assert_eq!(run.house.records().apply(&key, published(), None).await.unwrap(), Settled::Now);
            }
            run.check().await;
            assert_eq!(run.house.outbox_keys_held(&run.open).await, []);
        });
    }
}
