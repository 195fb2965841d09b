use api::Keys;
use axum::Router;
use bootstrap::{Aws, Environment, StartError};
use domain::Clock;
use queue::{Ages, Mappings, Queues, SqsConfig};
use zstorage::{Catalog, Jobs, Messages, Outbox, Sealer};

use crate::{AdminState, Brokers, Settings, router};

/// The whole function as a service, from the environment it was started with; one error names all that is missing.
pub fn start(environment: &Environment) -> Result<Router, StartError> {
    let state = AdminState::read(environment)?;
    let keys = Keys::new(state.catalog.clone(), state.clock.clone());
    Ok(api::serve(router(state), keys))
}

impl AdminState {
    /// What the routes stand on, from the environment of the function; one error names all that is missing.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn read(environment: &Environment) -> Result<AdminState, StartError> {
        let mut reader = environment.reader();
        let aws = Aws::read(&mut reader);
        let (catalog, messages) = (reader.required("CATALOG_TABLE"), reader.required("MESSAGES_TABLE"));
        let outbox = reader.required("OUTBOX_TABLE");
        let worker = reader.required("WORKER_FUNCTION");
        let settings = Settings {
            stack: reader.required("STACK_NAME"),
            region: aws.region.clone(),
            account: aws.account.clone(),
            sqs_endpoint: aws.endpoints.sqs.clone(),
            creation_allowed: reader.switch("QUEUE_CREATION", "allowed", "refused"),
            worker_timeout_secs: reader.parsed("WORKER_TIMEOUT_SECS", 10),
            brokers: Brokers::read(&mut reader),
        };
        let sealing = reader.sealing();
        reader.finish()?;
        let clock = Clock::system();
        let dynamodb = aws.dynamodb();
        let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
        Ok(AdminState {
            catalog: Catalog::new(dynamodb.clone(), catalog, clock.clone()),
            jobs: Jobs::new(dynamodb.clone(), messages.clone(), clock.clone()),
            messages: Messages::new(dynamodb.clone(), messages, clock.clone()),
            outbox: Outbox::new(dynamodb, outbox, clock.clone()),
            queues: Queues::new(aws.sqs(SqsConfig::new)),
            mappings: Mappings::new(aws.on_demand(Aws::lambda), worker),
            ages: Ages::new(aws.on_demand(Aws::cloudwatch)),
            sealer,
            clock,
            settings,
        })
    }
}
