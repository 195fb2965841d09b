use bootstrap::{Aws, Environment, StartError};
use delivery::{Courier, CourierParts};
use domain::Clock;
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use zstorage::{Catalog, Outbox, Records, Sealer};

use crate::OutboxPublisher;

/// The whole function, from the environment it was started with; one error names all that is missing. The brokers of this
/// installation are connected here, in init.
///
/// # Errors
/// [`StartError`].
pub async fn start(environment: &Environment) -> Result<OutboxPublisher, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, outbox) = (reader.required("CATALOG_TABLE"), reader.required("OUTBOX_TABLE"));
    let records = reader.required("RECORDS_TABLE");
    let sealing = reader.sealing();
    let brokers = reader.brokers(BrokersConfig::new);
    reader.finish()?;
    let clock = Clock::system();
    let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
    let dynamodb = aws.dynamodb();
    let outbox = Outbox::new(dynamodb.clone(), outbox, clock.clone());
    let engines = Engines::new(Queues::new(aws.sqs(SqsConfig::new)), brokers);
    engines.warm().await;
    let courier = Courier::new(CourierParts {
        records: Records::new(dynamodb.clone(), records, outbox.clone(), clock.clone()),
        outbox,
        catalog: Catalog::new(dynamodb, catalog, clock.clone()),
        engines,
        sealer,
        clock,
    });
    Ok(OutboxPublisher { courier })
}
