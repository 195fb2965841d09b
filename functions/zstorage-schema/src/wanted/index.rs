use api::Fields;
use domain::{ApiName, Faults};

use super::names;

/// An index as a caller wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedIndex {
    pub(crate) fields: Vec<ApiName>,
    pub(crate) unique: bool,
}

impl WantedIndex {
    /// Reads one index; all its faults at once.
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<WantedIndex, Faults> {
        let over = names(&mut fields, "fields");
        let over = fields.required("fields", over);
        let unique = fields.flag("unique").value().unwrap_or(false);
        fields.refuse_unknown(&["fields", "unique"]);
        fields.faults.into_result()?;
        over.map(|fields| WantedIndex { fields, unique }).ok_or_else(Faults::none)
    }
}
