use api::{Caller, Fields, JsonObject, Kind, PathText, Problem, QueryText};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use domain::{ApiName, Fault, Faults, Filter, Scope, TablePage};
use http::StatusCode;
use http::header::LOCATION;
use serde_json::Value;
use zstorage::{CatalogError, Cursor};

use crate::tables::{self, Listed};
use crate::wanted::WantedPage;
use crate::{SchemaState, documents, would_fail};

/// A lost race is run again at most so often.
const TRIES: usize = 5;

/// `POST page`: a page of the backoffice over one table.
pub(crate) async fn create(
    State(state): State<SchemaState>,
    caller: Caller,
    body: JsonObject,
) -> Result<Response, Problem> {
    caller.require(&Scope::PageWrite)?;
    let wanted = WantedPage::read(body.fields()?)?;
    let page = state.checked_page(&caller, wanted, 1).await?;
    state.catalog.create_page(&page).await?;
    let location = format!("{}/page/{}", api::BASE, page.name);
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(documents::of_page(&page))).into_response())
}

/// `GET page`: all pages, in the order of their names.
pub(crate) async fn list(
    State(state): State<SchemaState>,
    caller: Caller,
    query: QueryText,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::PageRead)?;
    let (limit, cursor) = tables::page(query, &["limit", "cursor"], Cursor::of::<ApiName>)?;
    let page = state.catalog.list_pages(limit, cursor.as_ref()).await?;
    let mut listed = Listed::new(page.next);
    for page in page.items {
        if !listed.takes(page.name.to_string(), documents::of_page(&page)) {
            break;
        }
    }
    Ok(listed.answer("pages"))
}

/// `GET page/{name}`
pub(crate) async fn read(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::PageRead)?;
    Ok(Json(documents::of_page(&state.page(&name).await?)))
}

/// `PUT page/{name}`: what is not given stays. Its name is fixed: it is the page's address.
pub(crate) async fn change(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    body: JsonObject,
) -> Result<Json<Value>, Problem> {
    caller.require(&Scope::PageWrite)?;
    for _ in 0..TRIES {
        let page = state.page(&name).await?;
        let merged = documents::changed(&documents::plain_page(&page), body.text()?);
        let wanted = WantedPage::read(Fields::read(&merged)?)?;
        if wanted.name != page.name {
            return Err(Fault::new("name", "fixed", "a page keeps its name: it is its address").into());
        }
        let new = state.checked_page(&caller, wanted, page.version).await?;
        match state.catalog.update_page(&page, &new).await {
            Err(CatalogError::Conflict) => {}
            saved => return Ok(Json(documents::of_page(&saved?))),
        }
    }
    Err(CatalogError::Conflict.into())
}

/// `DELETE page/{name}`
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
) -> Result<StatusCode, Problem> {
    caller.require(&Scope::PageWrite)?;
    let page = state.page(&name).await?;
    state.catalog.delete_page(&page).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl SchemaState {
    async fn page(&self, name: &str) -> Result<TablePage, Problem> {
        let missing = || Problem::new(Kind::NotFound, "there is no page of this name");
        let name = ApiName::parse(name).map_err(|_no_name| missing())?;
        self.catalog.table_page(&name).await?.ok_or_else(missing)
    }

    /// The page as wanted, if it fits its table as that is now.
    async fn checked_page(
        &self,
        caller: &Caller,
        wanted: WantedPage,
        version: u64,
    ) -> Result<TablePage, Problem> {
        caller.require(&Scope::table_read(&wanted.table))?;
        let known = self.catalog.table_by_name(&wanted.table).await?;
        let fresh = match known {
            Some(known) => self.catalog.fresh_table(known.table().prefix).await?,
            None => None,
        };
        let Some(schema) = fresh else {
            return Err(Fault::new("table", "unknown-table", "there is no table of this name").into());
        };
        let table = schema.table();
        let mut faults = Faults::none();
        for (key, names) in [("columns", &wanted.columns), ("form", &wanted.form)] {
            for (at, name) in names.iter().enumerate() {
                if table.field(name.as_str()).is_none() {
                    let message = format!("{} has no field '{name}'", table.api_name);
                    faults.add(format!("{key}/{at}"), "unknown-field", message);
                }
            }
        }
        for (at, (_, filter)) in wanted.filters.iter().enumerate() {
            if let Err(fault) = Filter::parse(filter, table) {
                faults.add(format!("filters/{at}/filter"), "expression", would_fail::told(&fault));
            }
        }
        faults.into_result()?;
        let WantedPage { name, table, columns, filters, form } = wanted;
        Ok(TablePage { name, table, columns, filters, form, version, updated_at: self.clock.now() })
    }
}
