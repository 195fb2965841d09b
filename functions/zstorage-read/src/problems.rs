use api::{Kind, Problem};
use domain::Fault;
use zstorage::QueryError;

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
