use api::{Caller, Kind, PathText, Problem};
use axum::Json;
use axum::extract::State;
use domain::{Job, JobId, JobKind, JobState, Scope};
use serde_json::{Value, json};

use crate::AdminState;

/// `GET job/{id}`: how far a job is. One that has ended is known for 30 days.
pub(crate) async fn read(
    State(state): State<AdminState>,
    caller: Caller,
    PathText(id): PathText,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::JobRead)?;
    let missing = || Problem::new(Kind::NotFound, "there is no job of this id");
    let id: JobId = id.parse().map_err(|_no_id_of_ours| missing())?;
    let job = state.jobs.job(id).await?.ok_or_else(missing)?;
    let table = state.catalog.table_by_prefix(job.kind.table()).await?;
    Ok(Json(document(&job, table.as_ref().map(|schema| schema.table().api_name.as_str()))))
}

/// A job as callers see it. `table` is what its table is called, if it is still there.
fn document(job: &Job, table: Option<&str>) -> Value {
    let index = match job.kind {
        JobKind::BuildIndex { index, .. } => Some(index.0),
        JobKind::DropTable { .. } => None,
    };
    let (state, reason) = match &job.state {
        JobState::Running => ("running", None),
        JobState::Done => ("done", None),
        JobState::Failed { reason } => ("failed", Some(reason)),
    };
    json!({
        "id": job.id.to_string(),
        "kind": job.kind.as_str(),
        "table": table,
        "record-prefix": job.kind.table().as_str(),
        "index": index,
        "state": state,
        "reason": reason,
        "records-done": job.done,
        "duplicates": job.duplicates,
        "created-at": job.created_at.to_string(),
        "updated-at": job.updated_at.to_string(),
    })
}
