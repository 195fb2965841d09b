use api::Fields;
use domain::{ApiName, Faults, MAX_FIELDS};

use super::{each, name, names};

/// A page as a caller wants it; its name is read apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedPage {
    pub(crate) name: ApiName,
    pub(crate) table: ApiName,
    pub(crate) columns: Vec<ApiName>,
    pub(crate) filters: Vec<(String, String)>,
    pub(crate) form: Vec<ApiName>,
}

/// A page has at most so many named filters.
const MAX_FILTERS: usize = 50;

/// A filter's label has at most this many bytes.
const MAX_LABEL_BYTES: usize = 255;

impl WantedPage {
    /// Reads a page; all its faults at once.
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<WantedPage, Faults> {
        let page = name(&mut fields, "name");
        let page = fields.required("name", page);
        let table = name(&mut fields, "table");
        let table = fields.required("table", table);
        let columns = once(&mut fields, "columns");
        let filters = each(&mut fields, "filters", filter);
        if filters.len() > MAX_FILTERS {
            fields.faults.add("filters", "too-many", format!("a page has at most {MAX_FILTERS} filters"));
        }
        let form = once(&mut fields, "form");
        fields.refuse_unknown(&["name", "table", "columns", "filters", "form"]);
        fields.faults.into_result()?;
        match (page, table) {
            (Some(name), Some(table)) => Ok(WantedPage { name, table, columns, filters, form }),
            _ => Err(Faults::none()),
        }
    }
}

/// Names of fields at `key`, each of which may stand once.
fn once(fields: &mut Fields<'_>, key: &str) -> Vec<ApiName> {
    let names = names(fields, key).value().unwrap_or_default();
    if names.len() > MAX_FIELDS {
        let message = format!("a table has at most {MAX_FIELDS} fields; here stand {}", names.len());
        fields.faults.add(key, "too-many", message);
        return Vec::new();
    }
    for (at, name) in names.iter().enumerate().filter(|(at, name)| names[..*at].contains(name)) {
        fields.faults.add(format!("{key}/{at}"), "repeated", format!("'{name}' stands here already"));
    }
    names
}

/// `{"label","filter"}`
fn filter(mut fields: Fields<'_>) -> Result<(String, String), Faults> {
    let label = fields.text("label");
    let label = fields.required("label", label);
    let filter = fields.text("filter");
    let filter = fields.required("filter", filter);
    if label.as_ref().is_some_and(|label| label.len() > MAX_LABEL_BYTES || label.trim().is_empty()) {
        fields.faults.add("label", "label", format!("a label has 1 to {MAX_LABEL_BYTES} bytes"));
    }
    fields.refuse_unknown(&["label", "filter"]);
    fields.faults.into_result()?;
    label.zip(filter).ok_or_else(Faults::none)
}
