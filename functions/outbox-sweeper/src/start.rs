use bootstrap::{Aws, Environment, Metrics, StartError};
use delivery::{Courier, CourierParts};
use domain::Clock;
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use zstorage::{Catalog, Outbox, Records, Sealer};

use crate::{NAMESPACE, OutboxSweeper};

/// The whole function, from the environment it was started with; one error names all that is missing.
///
/// # Errors
/// [`StartError`].
pub fn start(environment: &Environment) -> Result<OutboxSweeper, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, outbox) = (reader.required("CATALOG_TABLE"), reader.required("OUTBOX_TABLE"));
    let records = reader.required("RECORDS_TABLE");
    let stack = reader.required("STACK_NAME");
    let sealing = reader.sealing();
    let brokers = reader.brokers(BrokersConfig::new);
    reader.finish()?;
    let clock = Clock::system();
    let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
    let dynamodb = aws.dynamodb();
    let outbox = Outbox::new(dynamodb.clone(), outbox, clock.clone());
    let courier = Courier::new(CourierParts {
        records: Records::new(dynamodb.clone(), records, outbox.clone(), clock.clone()),
        outbox: outbox.clone(),
        catalog: Catalog::new(dynamodb, catalog, clock.clone()),
        // Nobody waits for a sweep, and a connection is dead by the next one: it makes its own where it needs one.
        engines: Engines::new(Queues::new(aws.sqs(SqsConfig::new)), brokers),
        sealer,
        clock: clock.clone(),
    });
    let metrics = Metrics::new(environment, NAMESPACE, "Stack", stack);
    Ok(OutboxSweeper { courier, outbox, metrics, clock })
}
