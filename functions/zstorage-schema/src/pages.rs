use api::{Caller, Fields, IfMatch, JsonObject, Kind, PathText, Problem, QueryText};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use domain::{ApiName, Fault, Faults, Filter, Scope, TablePage};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use zstorage::{CatalogError, Cursor};

use crate::change::TRIES;
use crate::tables::{self, Listed};
use crate::wanted::WantedPage;
use crate::{SchemaState, answers, documents, would_fail};

/// `POST page`: a page of the backoffice over one table.
pub(crate) async fn create(
    State(state): State<SchemaState>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonObject,
) -> Result<Response, Problem> {
    caller.require(&Scope::PageWrite)?;
    let wanted = tables::without_version(&headers, "page", WantedPage::read(body.fields()?))?;
    let page = state.checked_page(&caller, wanted, 1).await?;
    state.catalog.create_page(&page).await?;
    Ok(answers::made(&format!("page/{}", page.name), page.version, documents::of_page(&page)))
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
) -> Result<Response, Problem> {
    caller.require(&Scope::PageRead)?;
    let page = state.page(&name).await?;
    Ok(answers::shown(page.version, documents::of_page(&page)))
}

/// `PUT page/{name}`: what is not given stays. Its name is fixed: it is the page's address.
pub(crate) async fn change(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
    body: JsonObject,
) -> Result<Response, Problem> {
    caller.require(&Scope::PageWrite)?;
    body.fields()?;
    for _ in 0..TRIES {
        let page = state.page(&name).await?;
        if_match.require(page.version)?;
        let merged = documents::changed(&documents::plain_page(&page), body.text()?);
        let wanted = if_match.beside(WantedPage::read(Fields::read(&merged)?))?;
        if wanted.name != page.name {
            return Err(Fault::new("name", "fixed", "a page keeps its name: it is its address").into());
        }
        let new = state.checked_page(&caller, wanted, page.version).await?;
        match state.catalog.update_page(&page, &new).await {
            Err(CatalogError::Conflict) => {}
            saved => {
                let page = saved?;
                return Ok(answers::shown(page.version, documents::of_page(&page)));
            }
        }
    }
    Err(CatalogError::Conflict.into())
}

/// `DELETE page/{name}`
pub(crate) async fn remove(
    State(state): State<SchemaState>,
    caller: Caller,
    PathText(name): PathText,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    caller.require(&Scope::PageWrite)?;
    for _ in 0..TRIES {
        let page = state.page(&name).await?;
        if_match.require(page.version)?;
        if_match.version()?;
        match state.catalog.delete_page(&page).await {
            Err(CatalogError::Conflict) => {}
            gone => return Ok(gone.map(|()| StatusCode::NO_CONTENT)?),
        }
    }
    Err(CatalogError::Conflict.into())
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
