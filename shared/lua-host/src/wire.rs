//! What travels over the two pipes between the parent and its sandbox: length-prefixed frames.
//!
//! A frame is its length (four bytes, little-endian), one byte that says its kind, and its fields: integers little-endian,
//! texts and bytes prefixed by their own length. Both ends are the same program, so there are no versions. **Neither end
//! trusts a length before it has compared it with its limit.**

use serde::{Deserialize, Serialize};

use crate::{LogLine, Verdict, job::HandlerError};

/// More than any bundle; what is larger did not come from us.
pub(crate) const MAX_FRAME_TO_CHILD: usize = 256 << 20;

/// What a frame to the parent may hold beside the arguments of a host call: log, reason, error.
pub(crate) const FRAME_ROOM: usize = 1 << 20;

/// One kind of failure: the other end does not speak this protocol.
#[derive(Debug, thiserror::Error)]
#[error("the other end of the pipe does not speak the sandbox's protocol: {0}")]
pub(crate) struct WireError(pub(crate) &'static str);

/// The parent's words.
#[derive(Debug, PartialEq)]
pub(crate) enum ToChild {
    /// Once, first: the limits and every file.
    Hello(Hello),
    /// Run a handler in a slot.
    Job(Box<JobFrame>),
    /// The answer to the one host call that a slot waits for.
    Reply { slot: u32, answer: Answer },
    /// The deadline of a slot's message has come.
    Cancel { slot: u32 },
}

/// The sandbox's words.
#[derive(Debug, PartialEq)]
pub(crate) enum ToParent {
    /// Once, first: the walls stand, or which do not.
    Ready { weaknesses: Vec<String> },
    /// A handler asks for an effect.
    Call { slot: u32, module: String, function: String, arguments: String },
    /// A handler has ended: a [`Done`] as JSON.
    Done { slot: u32, report: String },
}

#[derive(Debug, PartialEq)]
pub(crate) struct Hello {
    pub(crate) slots: u32,
    pub(crate) memory_bytes_per_vm: u64,
    pub(crate) max_log_bytes: u64,
    pub(crate) max_reply_bytes: u64,
    /// Name and bytecode.
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct JobFrame {
    pub(crate) slot: u32,
    /// Whether the file is a test, whose door is recorded.
    pub(crate) test: bool,
    pub(crate) handler: String,
    pub(crate) context: String,
    pub(crate) body: String,
    pub(crate) config: String,
    pub(crate) secrets: String,
    /// From now on: clocks are not compared.
    pub(crate) deadline_us: u64,
    pub(crate) cpu_budget_us: u64,
}

/// A host's answer: JSON either way.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Value(String),
    /// `{code, message, retryable}`, to be returned.
    Expected(String),
    /// `{code, message, retryable}`, to be thrown.
    Thrown(String),
}

/// How a run ended, as the sandbox tells it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) ending: Ending,
    pub(crate) log: Vec<LogLine>,
    pub(crate) log_truncated: bool,
    pub(crate) cpu_us: u64,
}

/// A [`Verdict`] as it travels.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    Ack,
    Retry(Option<u32>),
    Reject(String),
    Failed(HandlerError),
    /// The neighbours took its time.
    Returned(String),
}

impl From<Ending> for Verdict {
    fn from(ending: Ending) -> Verdict {
        match ending {
            Ending::Ack => Verdict::Acked,
            Ending::Retry(after_secs) => Verdict::RetryAsked { after_secs },
            Ending::Reject(reason) => Verdict::Rejected { reason },
            Ending::Failed(error) => Verdict::Failed(error),
            Ending::Returned(why) => Verdict::Returned { why },
        }
    }
}

impl ToChild {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            ToChild::Hello(hello) => {
                let mut put = Put::new(b'h');
                put.u32(hello.slots);
                put.u64(hello.memory_bytes_per_vm);
                put.u64(hello.max_log_bytes);
                put.u64(hello.max_reply_bytes);
                put.u32(hello.files.len() as u32);
                for (name, bytecode) in &hello.files {
                    put.bytes(name.as_bytes());
                    put.bytes(bytecode);
                }
                put.finish()
            }
            ToChild::Job(job) => {
                let mut put = Put::new(b'j');
                put.u32(job.slot);
                put.u32(job.test.into());
                put.u64(job.deadline_us);
                put.u64(job.cpu_budget_us);
                for text in [&job.handler, &job.context, &job.body, &job.config, &job.secrets] {
                    put.bytes(text.as_bytes());
                }
                put.finish()
            }
            ToChild::Reply { slot, answer } => {
                let (kind, text) = match answer {
                    Answer::Value(text) => (b'v', text),
                    Answer::Expected(text) => (b'e', text),
                    Answer::Thrown(text) => (b't', text),
                };
                let mut put = Put::new(kind);
                put.u32(*slot);
                put.bytes(text.as_bytes());
                put.finish()
            }
            ToChild::Cancel { slot } => {
                let mut put = Put::new(b'c');
                put.u32(*slot);
                put.finish()
            }
        }
    }

    /// Takes the frame without its length.
    pub(crate) fn decode(frame: &[u8]) -> Result<ToChild, WireError> {
        let mut take = Take(frame);
        Ok(match take.u8()? {
            b'h' => ToChild::Hello(Hello {
                slots: take.u32()?,
                memory_bytes_per_vm: take.u64()?,
                max_log_bytes: take.u64()?,
                max_reply_bytes: take.u64()?,
                files: (0..take.u32()?)
                    .map(|_| Ok((take.text()?, take.bytes()?.to_vec())))
                    .collect::<Result<_, WireError>>()?,
            }),
            b'j' => {
                let (slot, test, deadline_us, cpu_budget_us) =
                    (take.u32()?, take.u32()? != 0, take.u64()?, take.u64()?);
                ToChild::Job(Box::new(JobFrame {
                    slot,
                    test,
                    deadline_us,
                    cpu_budget_us,
                    handler: take.text()?,
                    context: take.text()?,
                    body: take.text()?,
                    config: take.text()?,
                    secrets: take.text()?,
                }))
            }
            b'v' => ToChild::Reply { slot: take.u32()?, answer: Answer::Value(take.text()?) },
            b'e' => ToChild::Reply { slot: take.u32()?, answer: Answer::Expected(take.text()?) },
            b't' => ToChild::Reply { slot: take.u32()?, answer: Answer::Thrown(take.text()?) },
            b'c' => ToChild::Cancel { slot: take.u32()? },
            _ => return Err(WireError("an unknown kind of frame")),
        })
    }
}

impl ToParent {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            ToParent::Ready { weaknesses } => {
                let mut put = Put::new(b'R');
                put.u32(weaknesses.len() as u32);
                weaknesses.iter().for_each(|text| put.bytes(text.as_bytes()));
                put.finish()
            }
            ToParent::Call { slot, module, function, arguments } => {
                let mut put = Put::new(b'C');
                put.u32(*slot);
                [module, function, arguments].into_iter().for_each(|text| put.bytes(text.as_bytes()));
                put.finish()
            }
            ToParent::Done { slot, report } => {
                let mut put = Put::new(b'D');
                put.u32(*slot);
                put.bytes(report.as_bytes());
                put.finish()
            }
        }
    }

    /// Takes the frame without its length.
    pub(crate) fn decode(frame: &[u8]) -> Result<ToParent, WireError> {
        let mut take = Take(frame);
        Ok(match take.u8()? {
            b'R' => ToParent::Ready {
                weaknesses: (0..take.u32()?).map(|_| take.text()).collect::<Result<_, _>>()?,
            },
            b'C' => ToParent::Call {
                slot: take.u32()?,
                module: take.text()?,
                function: take.text()?,
                arguments: take.text()?,
            },
            b'D' => ToParent::Done { slot: take.u32()?, report: take.text()? },
            _ => return Err(WireError("an unknown kind of frame")),
        })
    }
}

/// Builds one frame; the length is filled in at the end.
struct Put(Vec<u8>);

impl Put {
    fn new(kind: u8) -> Put {
        Put(vec![0, 0, 0, 0, kind])
    }

    fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend_from_slice(bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() - 4) as u32;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

struct Take<'a>(&'a [u8]);

impl<'a> Take<'a> {
    fn split(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (head, tail) = self.0.split_at_checked(length).ok_or(WireError("a frame ends too early"))?;
        self.0 = tail;
        Ok(head)
    }

    fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.split(1)?[0])
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        let bytes = self.split(4)?.try_into().expect("four bytes were split off");
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        let bytes = self.split(8)?.try_into().expect("eight bytes were split off");
        Ok(u64::from_le_bytes(bytes))
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.u32()? as usize;
        self.split(length)
    }

    fn text(&mut self) -> Result<String, WireError> {
        let bytes = self.bytes()?;
        String::from_utf8(bytes.to_vec()).map_err(|_| WireError("a text is not UTF-8"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> Vec<ToChild> {
        let job = JobFrame {
            slot: 3,
            test: true,
            handler: "a/b".into(),
            context: "{}".into(),
            body: "é".into(),
            config: "null".into(),
            secrets: String::new(),
            deadline_us: u64::MAX,
            cpu_budget_us: 7,
        };
        let files = vec![("a".to_owned(), vec![0, 255]), ("b".to_owned(), Vec::new())];
        let hello = Hello { slots: 1, memory_bytes_per_vm: 2, max_log_bytes: 3, max_reply_bytes: 4, files };
        vec![
            ToChild::Hello(hello),
            ToChild::Job(Box::new(job)),
            ToChild::Reply { slot: 1, answer: Answer::Value("1".into()) },
            ToChild::Reply { slot: 1, answer: Answer::Expected("2".into()) },
            ToChild::Reply { slot: 1, answer: Answer::Thrown("3".into()) },
            ToChild::Cancel { slot: 9 },
        ]
    }

    #[test]
    fn frames_come_out_as_they_went_in() {
        for frame in frames() {
            let bytes = frame.encode();
            assert_eq!(u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len() - 4);
            assert_eq!(ToChild::decode(&bytes[4..]).unwrap(), frame);
        }
        let call =
            ToParent::Call { slot: 1, module: "m".into(), function: "f".into(), arguments: "{}".into() };
        let done = ToParent::Done { slot: 2, report: "{}".into() };
        for frame in [ToParent::Ready { weaknesses: vec!["w".into()] }, call, done] {
            assert_eq!(ToParent::decode(&frame.encode()[4..]).unwrap(), frame);
        }
    }

    #[test]
    fn a_frame_cut_short_is_refused() {
        for frame in frames() {
            let bytes = frame.encode();
            for end in 4..bytes.len() {
                assert!(ToChild::decode(&bytes[4..end]).is_err(), "{frame:?} up to {end}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_decoders(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = ToChild::decode(&bytes);
            let _ = ToParent::decode(&bytes);
        }
    }
}
