//! Opening an engine's SQLite file so that a damaged one gives a sentence, never a panic or a late surprise.

use super::EngineError;
use rusqlite::{Connection, ErrorCode};
use std::{path::Path, time::Duration};

/// How long a statement waits for another connection of ours to finish its write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens `file`, makes it if it is absent, and reads it through once (`quick_check`).
///
/// # Errors
/// [`EngineError::Damaged`] if SQLite does not find it sound, [`EngineError::Unusable`] if it cannot be opened.
pub(super) fn open(engine: &'static str, file: &Path) -> Result<Connection, EngineError> {
    let fail = |error| explain(engine, file, error);
    let connection = Connection::open(file).map_err(fail)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(fail)?;
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fail)?;
    if verdict != "ok" {
        return Err(EngineError::Damaged { engine, file: file.to_owned(), reason: one_line(&verdict) });
    }
    Ok(connection)
}

/// Says what an SQLite error means for the file.
pub(super) fn explain(engine: &'static str, file: &Path, error: rusqlite::Error) -> EngineError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            EngineError::Damaged { engine, file: file.to_owned(), reason: one_line(&error.to_string()) }
        }
        _ => EngineError::Unusable { engine, file: file.to_owned(), source: Box::new(error) },
    }
}

/// SQLite's verdicts may span lines; ours is one sentence.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
