use domain::{ApiName, TablePage};
use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, changed};
use crate::item::{Item, Reader, Writer, number, text};
use crate::table::{Action, Expression, Undone};
use crate::{Cursor, Page, StoreError};

/// The partition of all pages; the sort key is the name.
const PK: &str = "table-page";

#[derive(Serialize, Deserialize)]
#[serde(tag = "v")]
enum Definition {
    #[serde(rename = "1")]
    V1(PageV1),
}

#[derive(Serialize, Deserialize)]
struct PageV1 {
    table: String,
    columns: Vec<String>,
    filters: Vec<(String, String)>,
    form: Vec<String>,
}

impl Catalog {
    /// Stores the new page.
    ///
    /// # Errors
    /// [`CatalogError::Taken`] if there is one of its name; the store's.
    pub async fn create_page(&self, page: &TablePage) -> Result<(), CatalogError> {
        let put = Action::Put(write(page), Some(Expression::absent()));
        self.0.table.transact("create a page", vec![put]).await.map_err(|undone| match undone {
            Undone::Conditions(_) => CatalogError::Taken { field: "name" },
            undone => changed(undone),
        })
    }

    /// The page of this name, as it is now.
    ///
    /// # Errors
    /// The store's alone; that there is none is `None`.
    pub async fn table_page(&self, name: &ApiName) -> Result<Option<TablePage>, CatalogError> {
        let item = self.0.table.get("read a page", PK, name.as_str()).await?;
        Ok(item.as_ref().map(read).transpose()?)
    }

    /// Changes the page `old` to `new`, if it still has the version of `old`. Answers it as it is now: its version is that of
    /// `old` plus one, its name stays.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`]; the store's.
    pub async fn update_page(&self, old: &TablePage, new: &TablePage) -> Result<TablePage, CatalogError> {
        let stored = TablePage { name: old.name.clone(), version: old.version + 1, ..new.clone() };
        let put = Action::Put(write(&stored), Some(super::at_version(old.version)));
        self.0.table.transact("change a page", vec![put]).await.map_err(changed)?;
        Ok(stored)
    }

    /// Removes `page`, if it still has its version. One that is gone already is no error.
    ///
    /// # Errors
    /// [`CatalogError::Conflict`]; the store's.
    pub async fn delete_page(&self, page: &TablePage) -> Result<(), CatalogError> {
        let mut condition = super::at_version(page.version);
        condition.text = format!("attribute_not_exists(pk) OR {}", condition.text);
        let delete = Action::Delete { pk: PK.to_owned(), sk: page.name.to_string(), condition };
        self.0.table.transact("delete a page", vec![delete]).await.map_err(changed)
    }

    /// Up to `limit` pages (at least one is asked for) behind `cursor`, by their names.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn list_pages(
        &self,
        limit: usize,
        cursor: Option<&Cursor>,
    ) -> Result<Page<TablePage>, CatalogError> {
        let read = |item: &Item| {
            let page = read(item)?;
            let sk = page.name.to_string();
            Ok((page, sk))
        };
        self.page("list pages", PK, None, limit, cursor, read).await
    }
}

fn write(page: &TablePage) -> Item {
    let names = |names: &[ApiName]| names.iter().map(ToString::to_string).collect();
    let definition = Definition::V1(PageV1 {
        table: page.table.to_string(),
        columns: names(&page.columns),
        filters: page.filters.clone(),
        form: names(&page.form),
    });
    let definition = serde_json::to_string(&definition).expect("texts are JSON");
    Writer::new(PK, page.name.as_str())
        .set("version", number(page.version))
        .set("definition", text(definition))
        .set("updated-at", text(page.updated_at))
        .done()
}

fn read(item: &Item) -> Result<TablePage, StoreError> {
    let reader = Reader(item);
    let unfit = |_| reader.fault("definition", "is not of a form that we know");
    let Definition::V1(page) = serde_json::from_str(reader.text("definition")?).map_err(unfit)?;
    let name = |text: &str| {
        ApiName::parse(text).map_err(|_| reader.fault("definition", "has a name not of its form"))
    };
    let names = |names: &[String]| names.iter().map(|text| name(text)).collect::<Result<Vec<_>, _>>();
    Ok(TablePage {
        name: name(reader.text("sk")?)?,
        table: name(&page.table)?,
        columns: names(&page.columns)?,
        filters: page.filters,
        form: names(&page.form)?,
        version: reader.number("version")?,
        updated_at: reader.parsed("updated-at")?,
    })
}
