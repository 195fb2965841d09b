use api::{Keys, Tables};
use axum::Router;
use bootstrap::{Aws, ConfigError, Environment, Sealing};
use domain::Clock;
use zstorage::{Catalog, DataKeys, Records, SealError, Sealer};

use crate::{ReadState, router};

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The environment is not complete.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The keys of tables could not be opened.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// The whole function as a service, from the environment it was started with; one error names all that is missing.
pub fn start(environment: &Environment) -> Result<Router, StartError> {
    let mut reader = environment.reader();
    let aws = Aws::read(&mut reader);
    let (catalog, records) = (reader.required("CATALOG_TABLE"), reader.required("RECORDS_TABLE"));
    let sealing = reader.sealing();
    reader.finish()?;
    let clock = Clock::system();
    let sealer = match sealing {
        Sealing::Kms(key_id) => Sealer::Kms { client: aws.on_demand(Aws::kms), key_id },
        Sealing::KeyFile(file) => Sealer::from_key_file(&file)?,
    };
    let catalog = Catalog::new(aws.dynamodb(), catalog, clock.clone());
    let state = ReadState {
        tables: Tables::new(catalog.clone(), DataKeys::new(sealer)),
        records: Records::new(aws.dynamodb(), records, clock.clone()),
    };
    Ok(api::serve(router(state), Keys::new(catalog, clock)))
}
