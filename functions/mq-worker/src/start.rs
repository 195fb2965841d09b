use bootstrap::Environment;
use domain::Clock;
use handling::{HandlingSettings, StartError};

use crate::MqWorker;

/// The whole function, from the environment it was started with, which is that of every worker: see [`HandlingSettings`]. One error
/// names all that is missing. The sandbox is started here, in init, by running this same program again: its main must begin
/// with [`lua_host::sandbox_entry`].
pub async fn start(environment: &Environment) -> Result<MqWorker, StartError> {
    let mut reader = environment.reader();
    let settings = HandlingSettings::read(&mut reader);
    reader.finish().map_err(bootstrap::StartError::from)?;
    Ok(MqWorker::new(settings.start().await?.broker(), Clock::system()))
}
