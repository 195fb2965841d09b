use api::{Keys, Tables};
use axum::Router;
use bootstrap::{Aws, Environment, StartError};
use domain::Clock;
use zstorage::{Catalog, DataKeys, Outbox, Records, Sealer};

use crate::{ReadState, router};

/// The whole function as a service, from the environment it was started with; one error names all that is missing.
pub fn start(environment: &Environment) -> Result<Router, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, records) = (reader.required("CATALOG_TABLE"), reader.required("RECORDS_TABLE"));
    let outbox = reader.required("OUTBOX_TABLE");
    let sealing = reader.sealing();
    reader.finish()?;
    let clock = Clock::system();
    let dynamodb = aws.dynamodb();
    let sealer = aws.sealer(sealing, Sealer::kms, Sealer::from_key_file)?;
    let catalog = Catalog::new(dynamodb.clone(), catalog, clock.clone());
    let outbox = Outbox::new(dynamodb.clone(), outbox, clock.clone());
    let state = ReadState {
        tables: Tables::new(catalog.clone(), DataKeys::new(sealer)),
        records: Records::new(dynamodb, records, outbox, clock.clone()),
    };
    Ok(api::serve(router(state), Keys::new(catalog, clock)))
}
