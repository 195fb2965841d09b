use api::Keys;
use axum::Router;
use bootstrap::{Aws, Environment, StartError};
use domain::{Clock, SqsQueue};
use queue::{JobsQueue, Queues, SqsConfig};
use zstorage::{Catalog, DataKeys, Jobs, Outbox, Records, Sealer};

use crate::{SchemaState, router};

/// A job waits so long unless the environment says otherwise, seconds: 10 for the caches, 30 for requests, and a margin.
const DEFAULT_JOB_DELAY_SECS: u32 = 60;

/// A rule is tried on so many records at most.
pub const TRIAL_RECORDS: usize = 10_000;

/// The whole function as a service, from the environment it was started with; one error names all that is missing.
///
/// # Errors
/// [`StartError`].
pub fn start(environment: &Environment) -> Result<Router, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, messages) = (reader.required("CATALOG_TABLE"), reader.required("MESSAGES_TABLE"));
    let (records, outbox) = (reader.required("RECORDS_TABLE"), reader.required("OUTBOX_TABLE"));
    let jobs_queue = reader.required("JOBS_QUEUE");
    let job_delay_secs = reader.parsed("JOB_DELAY_SECS", DEFAULT_JOB_DELAY_SECS);
    let sealing = reader.sealing();
    reader.finish()?;
    let clock = Clock::system();
    let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
    let place = SqsQueue { region: aws.region.clone(), account: aws.account.clone(), name: jobs_queue };
    let dynamodb = aws.dynamodb();
    let outbox = Outbox::new(dynamodb.clone(), outbox, clock.clone());
    let catalog = Catalog::new(dynamodb.clone(), catalog, clock.clone());
    let state = SchemaState {
        records: Records::new(dynamodb.clone(), records, outbox, clock.clone()),
        jobs: Jobs::new(dynamodb, messages, clock.clone()),
        jobs_queue: JobsQueue::new(Queues::new(aws.sqs(SqsConfig::new)), place),
        keys: DataKeys::new(sealer.clone()),
        sealer,
        job_delay_secs,
        trial_records: TRIAL_RECORDS,
        catalog: catalog.clone(),
        clock: clock.clone(),
    };
    Ok(api::serve(router(state), Keys::new(catalog, clock)))
}
