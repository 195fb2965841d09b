use api::{Fields, Given};
use domain::{ApiName, DEFAULT_BUCKETS, Faults, MAX_BUCKETS, Rule};

use super::{WantedField, WantedIndex, each, fixed, name, rule};

/// A table as a caller wants it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WantedTable {
    pub(crate) label: Option<String>,
    pub(crate) fields: Vec<WantedField>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) indexes: Vec<WantedIndex>,
    pub(crate) buckets: u8,
}

/// What may be changed of a table as a whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TableChange {
    pub(crate) label: Given<String>,
    pub(crate) buckets: Option<u8>,
}

impl WantedTable {
    /// Reads a table; its name apart, for by it rights are judged before any fault is told.
    pub(crate) fn read(mut fields: Fields<'_>) -> (Option<ApiName>, Result<WantedTable, Faults>) {
        let api_name = name(&mut fields, "apiName");
        let api_name = fields.required("apiName", api_name);
        let label = fields.text("label").value();
        let wanted = each(&mut fields, "fields", WantedField::read);
        let rules = each(&mut fields, "rules", rule);
        let indexes = each(&mut fields, "indexes", WantedIndex::read);
        let buckets = buckets(&mut fields).unwrap_or(DEFAULT_BUCKETS);
        fields.refuse_unknown(&["apiName", "label", "fields", "rules", "indexes", "buckets"]);
        let table = WantedTable { label, fields: wanted, rules, indexes, buckets };
        (api_name, fields.faults.into_result().map(|()| table))
    }
}

impl TableChange {
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<TableChange, Faults> {
        let change = TableChange { label: fields.text("label"), buckets: buckets(&mut fields) };
        fixed(&mut fields, &["apiName"], "cannot be changed: clients and pages know the table by it");
        let each = "are changed one by one: POST, PUT and DELETE on table/NAME/field, /rule and /index, and POST on \
                    table/NAME/link, PUT and DELETE on link/ID";
        fixed(&mut fields, &["fields", "rules", "indexes", "links"], each);
        fields.refuse_unknown(&["label", "buckets"]);
        fields.faults.into_result().map(|()| change)
    }
}

fn buckets(fields: &mut Fields<'_>) -> Option<u8> {
    match fields.number("buckets") {
        Given::Is(number) => match u8::try_from(number) {
            Ok(number) if (1..=MAX_BUCKETS).contains(&number) => Some(number),
            _ => fields.wrong("buckets", "range", format!("'buckets' is 1 to {MAX_BUCKETS}")).value(),
        },
        _ => None,
    }
}
