use domain::{PackageFile, hex};
use sha2::{Digest, Sha256};

use super::{Catalog, CatalogError};
use crate::StoreError;
use crate::item::{Reader, Writer, bytes};

/// An item holds 400 KB at most; a file of more lies in several.
const PART_BYTES: usize = 300 * 1024;

/// The partition of one file's parts. Files are found by what is in them, so one that two releases share is kept once, and a
/// file that is written twice is the same file.
fn pk(file: &PackageFile) -> String {
    format!("file#{}", hex(&file.hash))
}

fn sk(part: usize) -> String {
    format!("p#{part:03}")
}

impl Catalog {
    /// Keeps a file's text. Nothing refers to it yet: its release is written after it.
    pub(super) async fn write_file(&self, text: &str) -> Result<(), CatalogError> {
        let pk = pk(&PackageFile::of(text));
        for (part, chunk) in text.as_bytes().chunks(PART_BYTES).enumerate() {
            let item = Writer::new(&pk, &sk(part)).set("text", bytes(chunk)).done();
            let table = &self.0.table;
            let call = table.client.put_item().table_name(&table.name).set_item(Some(item));
            call.send().await.map_err(|error| StoreError::from_call("keep a file", error))?;
        }
        Ok(())
    }

    /// The text of a file of a release, strongly consistent and checked against its hash.
    ///
    /// # Errors
    /// The store's; a file that is absent or damaged is a [`StoreError::Item`].
    pub async fn package_file(&self, file: &PackageFile) -> Result<String, CatalogError> {
        const OPERATION: &str = "read a file";
        let pk = pk(file);
        let fault = |fault: &str| StoreError::Item { item: pk.clone(), fault: fault.to_owned() };
        let mut text = Vec::with_capacity(file.bytes);
        for part in 0..file.bytes.div_ceil(PART_BYTES) {
            let item = self.0.table.get(OPERATION, &pk, &sk(part)).await?;
            let item = item.ok_or_else(|| fault("lacks a part"))?;
            text.extend_from_slice(Reader(&item).bytes_or_none("text")?.unwrap_or_default());
        }
        if <[u8; 32]>::from(Sha256::digest(&text)) != file.hash {
            return Err(fault("does not have its hash").into());
        }
        String::from_utf8(text).map_err(|_| fault("is not UTF-8").into())
    }
}
