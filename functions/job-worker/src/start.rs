use bootstrap::{Aws, Environment, StartError};
use domain::{Clock, SqsQueue};
use queue::{JobsQueue, Queues, SqsConfig};
use zstorage::{Catalog, DataKeys, Jobs, Outbox, Records, Sealer};

use crate::JobWorker;

/// Records of one slice: so many are done within a few seconds even where other writers are in the way.
const SLICE_RECORDS: usize = 200;

/// Slices for one message. The time ends before, where there is much to do.
const SLICES_AT_ONCE: u64 = 1000;

/// The whole function, from the environment it was started with; one error names all that is missing.
///
/// # Errors
/// [`StartError`].
pub fn start(environment: &Environment) -> Result<JobWorker, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, messages) = (reader.required("CATALOG_TABLE"), reader.required("MESSAGES_TABLE"));
    let (records, outbox) = (reader.required("RECORDS_TABLE"), reader.required("OUTBOX_TABLE"));
    let jobs_queue = reader.required("JOBS_QUEUE");
    let sealing = reader.sealing();
    reader.finish()?;
    let clock = Clock::system();
    let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
    let place = SqsQueue { region: aws.region.clone(), account: aws.account.clone(), name: jobs_queue };
    let queues = Queues::new(aws.sqs(SqsConfig::new));
    let dynamodb = aws.dynamodb();
    let outbox = Outbox::new(dynamodb.clone(), outbox, clock.clone());
    Ok(JobWorker {
        catalog: Catalog::new(dynamodb.clone(), catalog, clock.clone()),
        records: Records::new(dynamodb.clone(), records, outbox, clock.clone()),
        jobs: Jobs::new(dynamodb, messages, clock.clone()),
        jobs_queue: JobsQueue::new(queues.clone(), place),
        queues,
        keys: DataKeys::new(sealer),
        clock,
        slice_records: SLICE_RECORDS,
        slices_at_once: SLICES_AT_ONCE,
    })
}
