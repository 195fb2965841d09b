use bootstrap::Environment;
use handling::{HandlingSettings, StartError};

use crate::{FailedRecords, MskWorker};

/// The whole function, from the environment it was started with: that of every worker, see [`HandlingSettings`], and
/// `REPORT_BATCH_ITEM_FAILURES`, `true` where the event source mapping has it, which is with provisioned pollers only (`false`,
/// the default, is safe with every mapping). One error names all that is missing. The sandbox is started here, in init, by
/// running this same program again: its main must begin with [`lua_host::sandbox_entry`].
pub async fn start(environment: &Environment) -> Result<MskWorker, StartError> {
    let mut reader = environment.reader();
    let settings = HandlingSettings::read(&mut reader);
    let named = reader.switch("REPORT_BATCH_ITEM_FAILURES", "true", "false");
    reader.finish().map_err(bootstrap::StartError::from)?;
    let failed = if named { FailedRecords::Named } else { FailedRecords::WholeBatch };
    Ok(MskWorker::new(settings.start().await?.broker(), failed))
}
