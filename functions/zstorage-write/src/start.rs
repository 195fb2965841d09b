use api::{Keys, Tables};
use axum::Router;
use bootstrap::{Aws, Environment, StartError};
use delivery::{CourierParts, Writer};
use domain::Clock;
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use zstorage::{Catalog, DataKeys, Outbox, Records, Sealer};

use crate::{WriteState, router};

/// The whole function as a service, from the environment it was started with; one error names all that is missing.
pub fn start(environment: &Environment) -> Result<Router, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, records) = (reader.required("CATALOG_TABLE"), reader.required("RECORDS_TABLE"));
    let outbox = reader.required("OUTBOX_TABLE");
    let sealing = reader.sealing();
    let brokers = reader.brokers(BrokersConfig::new);
    reader.finish()?;
    let clock = Clock::system();
    let dynamodb = aws.dynamodb();
    let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
    let catalog = Catalog::new(dynamodb.clone(), catalog, clock.clone());
    let outbox = Outbox::new(dynamodb.clone(), outbox, clock.clone());
    let writer = Writer::new(CourierParts {
        records: Records::new(dynamodb, records, outbox.clone(), clock.clone()),
        outbox,
        catalog: catalog.clone(),
        // Most tables have no strict link, so nothing is opened before the first message.
        engines: Engines::new(Queues::new(aws.sqs(SqsConfig::new)), brokers),
        sealer: sealer.clone(),
        clock: clock.clone(),
    });
    let state = WriteState { tables: Tables::new(catalog.clone(), DataKeys::new(sealer)), writer };
    Ok(api::serve(router(state), Keys::new(catalog, clock)))
}
