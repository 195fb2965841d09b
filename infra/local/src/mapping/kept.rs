//! The file of mappings.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Mapping;
use crate::folder::{FolderError, read_json, write_json};

const REMEDY: &str =
    "the next start knows no mappings, and a queue is worked on again once it is registered anew";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    mappings: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Row {
    uuid: String,
    source_arn: String,
    function: String,
    enabled: bool,
    batch_size: u8,
    reports_failures: bool,
    maximum_concurrency: Option<u16>,
    modified_at: String,
}

pub(super) fn read(file: &Path) -> Result<Vec<Mapping>, FolderError> {
    let rows = read_json::<Kept>(file, REMEDY)?.map(|kept| kept.mappings).unwrap_or_default();
    rows.into_iter().map(Row::mapping).collect::<Option<_>>().ok_or_else(|| FolderError::Damaged {
        file: file.to_owned(),
        reason: "a mapping's uuid or time is not one".to_owned(),
        remedy: REMEDY,
    })
}

pub(super) fn write<'m>(
    file: &Path,
    mappings: impl IntoIterator<Item = &'m Mapping>,
) -> Result<(), FolderError> {
    write_json(file, &Kept { mappings: mappings.into_iter().map(Row::of).collect() })
}

impl Row {
    fn of(mapping: &Mapping) -> Row {
        Row {
            uuid: mapping.uuid.to_string(),
            source_arn: mapping.source_arn.clone(),
            function: mapping.function.clone(),
            enabled: mapping.enabled,
            batch_size: mapping.batch_size,
            reports_failures: mapping.reports_failures,
            maximum_concurrency: mapping.maximum_concurrency,
            modified_at: mapping.modified_at.to_string(),
        }
    }

    fn mapping(self) -> Option<Mapping> {
        Some(Mapping {
            uuid: self.uuid.parse().ok()?,
            source_arn: self.source_arn,
            function: self.function,
            enabled: self.enabled,
            batch_size: self.batch_size,
            reports_failures: self.reports_failures,
            maximum_concurrency: self.maximum_concurrency,
            modified_at: self.modified_at.parse().ok()?,
        })
    }
}
