use std::fmt;

use crate::{Operation, RecordId, Values};

/// One write of one record, as its links see it.
#[derive(Debug, Clone, Copy)]
pub struct RecordWrite<'w> {
    /// Which record.
    pub id: RecordId,
    /// What is done with it.
    pub operation: Operation,
    /// The version that the write gives to it; a removal counts as one more.
    pub version: u64,
    /// Its values before; `None` on create.
    pub old: Option<&'w Values>,
    /// Its values after; `None` on delete.
    pub new: Option<&'w Values>,
}

/// What a link says to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkAnswer {
    /// There is a message.
    Fires(LinkMessage),
    /// There is none, and this is why.
    Silent(Silence),
}

/// Why a link does not fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Silence {
    /// It is off.
    Disabled,
    /// It is for other kinds of writes.
    OtherOperation,
    /// The update leaves every field as it was.
    NothingChanged,
    /// The update changes other fields than those the link is for.
    OtherFields,
    /// Its condition is false.
    Condition,
}

/// What goes to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkMessage {
    /// The body: JSON of ASCII characters alone, which every engine carries. Encrypted text is not in it.
    pub body: String,
    /// What the link's ordering key comes to, as an ordered queue takes it (1 to 128 printable ASCII characters). `None` = the
    /// record's id, where the queue keeps order.
    pub ordering_key: Option<String>,
    /// What could not be computed, for a person: a condition (the link fires all the same), a hole (it is null), an ordering
    /// key (it is the record's id). Without values of the record.
    pub notes: Vec<String>,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Silence::Disabled => "the link is off",
            Silence::OtherOperation => "the link is not for this kind of write",
            Silence::NothingChanged => "the update changes nothing",
            Silence::OtherFields => "the update changes none of the fields that the link is for",
            Silence::Condition => "the link's condition is false",
        })
    }
}
