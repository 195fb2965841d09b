use api::{Kind, Problem};
use domain::Fault;
use zstorage::{StoreError, WriteError};

/// What a caller is told of a record that was not written. Paths are those of a request about this one record.
pub(crate) fn of(error: WriteError) -> Problem {
    let said = error.to_string();
    match error {
        WriteError::Invalid(faults) => faults.into(),
        WriteError::Taken { fields } => {
            let problem = Problem::new(Kind::Conflict, said.clone());
            let faults =
                fields.iter().map(|name| Fault::new(format!("fields/{name}"), "taken", said.clone()));
            faults.fold(problem, Problem::with_fault)
        }
        WriteError::Missing => Problem::new(Kind::NotFound, said),
        WriteError::Stale { current } => Problem::new(Kind::Stale, said).with("version", current),
        WriteError::Contended => Problem::new(Kind::Conflict, said).retry_after(1),
        WriteError::OtherBody => Problem::new(Kind::OtherBody, said),
        WriteError::TooLarge { .. } => Fault::new("fields", "too-large", said).into(),
        WriteError::TooMany { .. } => Fault::new("operations", "too-many-actions", said).into(),
        WriteError::Deleting | WriteError::Undone => Problem::new(Kind::Conflict, said),
        // Busy is said of what was given up before it was done; of a call that failed nobody knows.
        WriteError::Store(error @ StoreError::Call { .. }) => Problem::from(error).with("outcome", "unknown"),
        WriteError::Store(error) => error.into(),
    }
}
