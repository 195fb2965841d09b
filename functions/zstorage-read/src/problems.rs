use api::{Kind, Problem};
use domain::{Fault, TableState};
use zstorage::{OpenTable, QueryError, WriteError};

/// `table`, unless it is being deleted: part of its records would be told for all there are.
pub(crate) fn unless_deleting(table: OpenTable) -> Result<OpenTable, Problem> {
    match table.schema.table().state {
        TableState::Ready => Ok(table),
        TableState::Deleting => Err(Problem::new(Kind::Conflict, WriteError::Deleting.to_string())),
    }
}

/// What a caller is told of a question that was not answered.
pub(crate) fn of(error: QueryError) -> Problem {
    let said = error.to_string();
    match error {
        QueryError::NoIndex { suggest } if suggest.is_empty() => {
            let message =
                format!("{said}, and none could; \"allow-scan\": true looks at one record after the other");
            Problem::new(Kind::Invalid, message.clone()).with_fault(Fault::new("", "no-index", message))
        }
        QueryError::NoIndex { suggest } => {
            let names: Vec<String> = suggest.iter().map(ToString::to_string).collect();
            let message = format!(
                "{said}: add one over {}, or say \"allow-scan\": true to look at one record after the other",
                names.join(", ")
            );
            let problem = Problem::new(Kind::Invalid, message.clone());
            problem.with_fault(Fault::new("", "no-index", message)).with("suggested-index", names)
        }
        QueryError::BadCursor => Fault::new("cursor", "cursor", said).into(),
        QueryError::Unsortable { .. } => Fault::new("sort", "not-sortable", said).into(),
        QueryError::LongSearch => Fault::new("search", "max-length", said).into(),
        QueryError::Store(error) => error.into(),
    }
}
