use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use domain::{Clock, IndexId, Job, JobId, JobKind, JobState};

use crate::StoreError;
use crate::item::{Item, Reader, Writer, number, text};
use crate::table::{Action, Expression, Table, Undone};

/// A job that has ended is remembered this long, seconds.
const KEPT_SECS: i64 = 30 * 24 * 3600;

const SK: &str = "state";

/// The jobs, kept in Messages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jobs {
    table: Table,
    clock: Clock,
}

impl Jobs {
    /// The jobs kept in `table`, whose key is `pk` and `sk` and whose time to live is in `expires-at`.
    pub fn new(client: Client, table: String, clock: Clock) -> Jobs {
        Jobs { table: Table { client, name: table }, clock }
    }

    /// The job of this id as it is now. One that ended is known for 30 days.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let item = self.table.get("read a job", &pk(id), SK).await?;
        item.as_ref().map(read).transpose()
    }

    /// Notes how far `job` has come since its slice was read. Answers the job as it stands now; `None` = another worker has
    /// noted that slice, and whoever asks has to leave the job to it. An answer that was lost is not taken for another's
    /// note: the write is sent again under its own token.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn note(&self, job: &Job) -> Result<Option<Job>, StoreError> {
        let noted = Job { slice: job.slice + 1, updated_at: self.clock.now(), ..job.clone() };
        let unchanged =
            Expression::new("#slice = :slice").name("#slice", "slice").value(":slice", number(job.slice));
        let put = Action::Put(self.write(&noted), Some(unchanged));
        match self.table.transact("note a slice of a job", vec![put]).await {
            Ok(()) => Ok(Some(noted)),
            Err(Undone::Conditions(_)) => Ok(None),
            Err(Undone::Store(error)) => Err(error),
        }
    }

    /// The action that saves a new job, to stand in one transaction with what the job is for.
    pub(crate) fn birth(&self, job: &Job) -> TransactWriteItem {
        self.table.wire(Action::Put(self.write(job), Some(Expression::absent())))
    }

    fn write(&self, job: &Job) -> Item {
        let (state, reason) = match &job.state {
            JobState::Running => ("running", None),
            JobState::Done => ("done", None),
            JobState::Failed { reason } => ("failed", Some(text(reason))),
        };
        let index = match job.kind {
            JobKind::BuildIndex { index: IndexId(index), .. } => Some(number(index)),
            JobKind::DropTable { .. } => None,
        };
        let duplicates = job.duplicates.iter().map(|(one, other)| text(format!("{one} {other}"))).collect();
        let expires_at = job.has_ended().then(|| number(self.clock.now().as_second() + KEPT_SECS));
        Writer::new(&pk(job.id), SK)
            .set("job-id", text(job.id))
            .set("kind", text(job.kind.as_str()))
            .set("table", text(job.kind.table()))
            .set_some("index", index)
            .set_some("cursor", job.cursor.as_ref().map(text))
            .set("slice", number(job.slice))
            .set("done", number(job.done))
            .set("duplicates", AttributeValue::L(duplicates))
            .set("state", text(state))
            .set_some("reason", reason)
            .set("created-at", text(job.created_at))
            .set("updated-at", text(job.updated_at))
            .set_some("expires-at", expires_at)
            .done()
    }
}

fn pk(id: JobId) -> String {
    format!("job#{id}")
}

fn read(item: &Item) -> Result<Job, StoreError> {
    let reader = Reader(item);
    let table = reader.parsed("table")?;
    let kind = match reader.text("kind")? {
        "build-index" => JobKind::BuildIndex { table, index: IndexId(reader.number("index")?) },
        "drop-table" => JobKind::DropTable { table },
        _ => return Err(reader.fault("kind", "is a word we do not know")),
    };
    let state = match reader.text("state")? {
        "running" => JobState::Running,
        "done" => JobState::Done,
        "failed" => JobState::Failed { reason: reader.text("reason")?.to_owned() },
        _ => return Err(reader.fault("state", "is a word we do not know")),
    };
    let pair = |value: &AttributeValue| {
        let (one, other) = value.as_s().ok()?.split_once(' ')?;
        Some((one.to_owned(), other.to_owned()))
    };
    let duplicates: Option<Vec<_>> = reader.list("duplicates")?.iter().map(pair).collect();
    Ok(Job {
        id: reader.parsed("job-id")?,
        kind,
        cursor: reader.text_or_none("cursor")?.map(str::to_owned),
        slice: reader.number("slice")?,
        done: reader.number("done")?,
        duplicates: duplicates.ok_or_else(|| reader.fault("duplicates", "is not a list of pairs"))?,
        state,
        created_at: reader.parsed("created-at")?,
        updated_at: reader.parsed("updated-at")?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use aws_sdk_dynamodb::config::BehaviorVersion;
    use domain::TablePrefix;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn jobs() -> Jobs {
        let config = aws_sdk_dynamodb::Config::builder().behavior_version(BehaviorVersion::latest()).build();
        Jobs::new(Client::from_conf(config), "messages".to_owned(), Clock::system())
    }

    prop_compose! {
        fn any_job()(
            random in any::<u64>(), table in 0_u32..22 * 1024, index in proptest::option::of(any::<u32>()),
            cursor in proptest::option::of("\\PC{1,40}"), slice in any::<u64>(), done in any::<u64>(),
            duplicates in proptest::collection::vec(("[0-9A-Z]{30}", "[0-9A-Z]{30}"), 0..4),
            state in 0..3_usize, reason in "\\PC{0,40}",
        ) -> Job {
            let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(random);
            let table = TablePrefix::nth(table).unwrap();
            let kind = match index {
                Some(index) => JobKind::BuildIndex { table, index: IndexId(index) },
                None => JobKind::DropTable { table },
            };
            let state = [JobState::Running, JobState::Done, JobState::Failed { reason }][state].clone();
            let new = Job::new(JobId::new(Timestamp::UNIX_EPOCH, &mut random), kind, Timestamp::UNIX_EPOCH);
            Job { cursor, slice, done, duplicates, state, ..new }
        }
    }

    proptest! {
        #[test]
        fn a_job_is_read_back_as_it_was_written_and_only_one_that_has_ended_expires(job in any_job()) {
            let item = jobs().write(&job);
            prop_assert_eq!(item.contains_key("expires-at"), job.has_ended());
            prop_assert_eq!(read(&item).unwrap(), job);
        }
    }
}
