use api::Keys;
use axum::Router;
use bootstrap::{Aws, Environment, StartError};
use delivery::Publisher;
use domain::Clock;
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use zstorage::{Catalog, Messages, Outbox, Sealer};

use crate::{PublishState, router};

/// The whole function as a service, from the environment it was started with; one error names all that is missing. The brokers of
/// this installation are connected here, in init.
pub async fn start(environment: &Environment) -> Result<Router, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, messages) = (reader.required("CATALOG_TABLE"), reader.required("MESSAGES_TABLE"));
    let outbox = reader.required("OUTBOX_TABLE");
    let sealing = reader.sealing();
    let brokers = reader.brokers(BrokersConfig::new);
    reader.finish()?;
    let clock = Clock::system();
    let dynamodb = aws.dynamodb();
    let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
    let engines = Engines::new(Queues::new(aws.sqs(SqsConfig::new)).ready_to_send(), brokers);
    engines.warm().await;
    let catalog = Catalog::new(dynamodb.clone(), catalog, clock.clone());
    let messages = Messages::new(dynamodb.clone(), messages, clock.clone());
    let outbox = Outbox::new(dynamodb, outbox, clock.clone());
    let publisher = Publisher::new(messages, outbox, engines, sealer, clock.clone());
    Ok(api::serve(router(PublishState { catalog: catalog.clone(), publisher }), Keys::new(catalog, clock)))
}
