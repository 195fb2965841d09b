use std::sync::Arc;

use api::{Caller, IfMatch, JsonObject, Kind, MAX_ANSWER_BYTES, PathText, Problem, QueryText, answer_bytes};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::{
    ApiName, Fault, Faults, Field, FieldKind, JobId, Names, Scope, Sealed, Table, TablePrefix, TableSchema,
    TableState,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use zstorage::{CatalogError, Cursor, CursorError, OpenTable};

use crate::change::{TRIES, of_sealer};
use crate::design::{self, Edit, Numbered};
use crate::wanted::{TableChange, WantedField, WantedTable};
use crate::{SchemaState, answers};

/// A page has so many entries unless asked otherwise, and at most [`MAX_PAGE`].
const DEFAULT_PAGE: usize = 25;
const MAX_PAGE: usize = 100;

/// Of an answer so much is left for what is not documents, bytes.
const ROOM_FOR_THE_REST: usize = 1024;

/// `POST table`: a new table, whole or not at all.
pub(crate) async fn create(
    State(state): State<SchemaState>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, Problem> {
    let (name, wanted) = WantedTable::read(body.fields()?);
    let any = Scope::TableWrite(Names::Any);
    match &name {
        Some(name) => caller.require(&Scope::table_write(name))?,
        None if !caller.scopes.could_cover(&any) => caller.require(&any)?,
        None => {}
    }
    let wanted = without_version(&headers, "table", wanted)?;
    let Some(api_name) = name else { return Err(Problem::new(Kind::Internal, "a name without a fault")) };
    let lookups = state.lookups(&caller, wanted.fields.iter().filter_map(WantedField::looks_up)).await?;
    let design = design::numbered(&wanted, &lookups)?;
    let schema = state.make(api_name, wanted, design).await?;
    let table = schema.table();
    let place = format!("table/{}", table.api_name);
    Ok(answers::made(&place, table.version, state.changed_document(table).await?))
}

/// `GET table`: a page of the tables that the key may see.
pub(crate) async fn list(
    State(state): State<SchemaState>,
    caller: Caller,
    mut query: QueryText,
) -> Result<Json<Value>, Problem> {
    let every = Scope::TableRead(Names::Any);
    if !caller.scopes.could_cover(&every) {
        caller.require(&every)?;
    }
    let search = query.take("search");
    let (limit, cursor) = page(query, &["search", "limit", "cursor"], Cursor::of::<TablePrefix>)?;
    let page = state.catalog.list_tables(search.as_deref(), limit, cursor.as_ref()).await?;
    let mut listed = Listed::new(page.next);
    for schema in page.items {
        let table = schema.table();
        if caller.scopes.cover(&Scope::table_read(&table.api_name))
            && !listed.takes(table.prefix.to_string(), state.document(table).await?)
        {
            break;
        }
    }
    Ok(listed.answer("tables"))
}

/// `GET table/{apiName}`
pub(crate) async fn read(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<Response, Problem> {
    let schema = state.table(&caller, &name, Scope::TableRead).await?;
    Ok(answers::shown(schema.table().version, state.document(schema.table()).await?))
}

/// `PUT table/{apiName}`: its label and how many partitions new records are spread over; what is not given stays.
pub(crate) async fn change(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    let edit = |table: &Table| -> Result<Edit, Problem> {
        let wanted = TableChange::read(body.fields()?)?;
        let buckets = wanted.buckets.unwrap_or(table.buckets);
        if buckets < table.buckets {
            let message = format!("the {} partitions there are stay: records lie in them", table.buckets);
            return Err(Fault::new("buckets", "range", message).into());
        }
        let label = wanted.label.over(table.label.clone());
        Ok(Table { label, buckets, ..table.clone() }.into())
    };
    let schema = state.change(&caller, &name, &if_match, |table, _, _| edit(table)).await?;
    let table = schema.table();
    Ok(answers::shown(table.version, state.changed_document(table).await?))
}

/// `DELETE table/{apiName}`: by a job, for other processes may know the table for a while yet, and write to it. If it has
/// records, only when `?with-records=true` says so.
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    mut query: QueryText,
) -> Result<Response, Problem> {
    state.table(&caller, &name, Scope::TableWrite).await?;
    let mut faults = Faults::none();
    let with_records = match query.take("with-records").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            faults.add("with-records", "value", "'with-records' is true or false");
            false
        }
    };
    query.refuse_unknown(&["with-records"], &mut faults);
    if_match.beside(faults.into_result())?;
    let id = JobId::new(state.clock.now(), &mut rand::rng());
    let mut rung = false;
    for _ in 0..TRIES {
        let schema = state.table(&caller, &name, Scope::TableWrite).await?;
        let table = schema.table();
        if_match.require(table.version)?;
        state.refuse_looked_up(table).await?;
        if !with_records && table.state == TableState::Ready {
            state.refuse_filled(&state.open(schema.clone()).await?).await?;
        }
        if !rung {
            state.ring(id).await?;
            rung = true;
        }
        match state.drop_table(table, id).await {
            Err(CatalogError::Conflict) => {}
            dropped => {
                let job = dropped?.id.to_string();
                let document = json!({ "apiName": table.api_name.as_str(), "state": "deleting", "job": job });
                return Ok((StatusCode::ACCEPTED, Json(document)).into_response());
            }
        }
    }
    Err(CatalogError::Conflict.into())
}

/// `read`, what a request says of a new `what`, which has no version yet that `If-Match` could name.
pub(crate) fn without_version<T>(
    headers: &HeaderMap,
    what: &str,
    read: Result<T, Faults>,
) -> Result<T, Faults> {
    let instead = format!("a {what} that is yet to be made has no version; leave If-Match out");
    match (IfMatch::refuse(headers, &instead), read) {
        (Ok(()), read) => read,
        (Err(fault), read) => {
            let mut faults = Faults::from(fault);
            faults.0.extend(read.err().into_iter().flat_map(|found| found.0));
            Err(faults)
        }
    }
}

impl SchemaState {
    /// Makes the table. What cannot be is refused before a prefix, of which there are not many, is taken for it.
    async fn make(
        &self,
        api_name: ApiName,
        wanted: WantedTable,
        design: Numbered,
    ) -> Result<Arc<TableSchema>, Problem> {
        let now = self.clock.now();
        let mut table = Table {
            prefix: TablePrefix::nth(0).expect("there is a first prefix"),
            api_name,
            label: wanted.label,
            fields: design.fields,
            next_field: design.next_field,
            rules: wanted.rules,
            indexes: design.indexes,
            next_index: design.next_index,
            links: Vec::new(),
            next_link: 1,
            buckets: wanted.buckets,
            data_key: Sealed(Vec::new()),
            state: TableState::Ready,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        TableSchema::compile(table.clone())?;
        if self.catalog.table_by_name(&table.api_name).await?.is_some() {
            return Err(CatalogError::Taken { field: "apiName" }.into());
        }
        table.prefix = self.catalog.take_table_prefix().await?;
        let sealed = self.sealer.new_data_key(table.prefix).await;
        (table.data_key, _) = sealed.map_err(|error| of_sealer(&error))?;
        Ok(self.catalog.create_table(&table).await?)
    }

    /// A table whose records others look up stays: nobody could write those lookups any more.
    async fn refuse_looked_up(&self, table: &Table) -> Result<(), Problem> {
        let looks_up =
            |field: &Field| matches!(field.kind, FieldKind::Lookup { table: to } if to == table.prefix);
        let (mut others, mut cursor) = (0, None);
        loop {
            let page = self.catalog.list_tables(None, MAX_PAGE, cursor.as_ref()).await?;
            let other = page.items.iter().map(|schema| schema.table());
            others += other.filter(|o| o.prefix != table.prefix && o.fields.iter().any(looks_up)).count();
            match page.next {
                None => break,
                next => cursor = next,
            }
        }
        if others == 0 {
            return Ok(());
        }
        let detail =
            format!("fields of {others} other tables look up records of this one; delete these fields first");
        Err(Problem::new(Kind::Conflict, detail))
    }

    /// A table that has records goes only when that is said.
    async fn refuse_filled(&self, open: &OpenTable) -> Result<(), Problem> {
        if self.records.scan(open, None, 1).await?.records.is_empty() {
            return Ok(());
        }
        let detail = "the table has records; DELETE with ?with-records=true removes them, too, for good";
        Err(Problem::new(Kind::Conflict, detail))
    }
}

/// A page of documents, no larger than an answer may be.
pub(crate) struct Listed {
    documents: Vec<Value>,
    /// What is left of the answer, bytes.
    room: usize,
    /// Where the documents end that are in.
    last: String,
    next: Option<String>,
}

impl Listed {
    /// One that goes on at `next`, if all of the page gets in.
    pub(crate) fn new(next: Option<Cursor>) -> Listed {
        let next = next.map(|cursor| cursor.to_string());
        Listed {
            documents: Vec::new(),
            room: MAX_ANSWER_BYTES - ROOM_FOR_THE_REST,
            last: String::new(),
            next,
        }
    }

    /// Takes the document of `name` in, if there is room for it: for the first there is.
    pub(crate) fn takes(&mut self, name: String, document: Value) -> bool {
        match self.room.checked_sub(answer_bytes(&document.to_string()) + 1) {
            None if !self.documents.is_empty() => {
                self.next = Some(std::mem::take(&mut self.last));
                return false;
            }
            room => self.room = room.unwrap_or(0),
        }
        self.documents.push(document);
        self.last = name;
        true
    }

    /// The answer, with the documents under `key`.
    pub(crate) fn answer(self, key: &str) -> Json<Value> {
        Json(json!({ key: self.documents, "cursor": self.next }))
    }
}

/// Reads `limit` and `cursor`, and refuses all parameters but `known`, whose others were taken before.
pub(crate) fn page(
    mut query: QueryText,
    known: &[&str],
    read: fn(&str) -> Result<Cursor, CursorError>,
) -> Result<(usize, Option<Cursor>), Problem> {
    let mut faults = Faults::none();
    let limit = query.take("limit").map(|limit| match limit.parse::<usize>() {
        Ok(limit) if (1..=MAX_PAGE).contains(&limit) => Ok(limit),
        _ => Err(Fault::new("limit", "range", format!("'limit' is 1 to {MAX_PAGE}"))),
    });
    let cursor = query
        .take("cursor")
        .map(|cursor| read(&cursor).map_err(|error| Fault::new("cursor", "cursor", error.to_string())));
    let limit = limit.and_then(|limit| faults.take(limit)).unwrap_or(DEFAULT_PAGE);
    let cursor = cursor.and_then(|cursor| faults.take(cursor));
    query.refuse_unknown(known, &mut faults);
    faults.into_result()?;
    Ok((limit, cursor))
}
