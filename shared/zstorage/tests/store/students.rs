//! A table of students with a field of every kind, for tests of records.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use domain::{
    ApiName, Field, FieldId, FieldKind, FormulaResult, Index, IndexId, IndexState, KeyId, NumberRules,
    Operations, RawFields, Rule, Sealed, Table, TablePrefix, TableSchema, TableState, TextRules, Value,
};
use jiff::Timestamp;
use serde_json::value::RawValue;
use zstorage::{By, Catalog, DataKeys, OpenTable, Outbox, Records, Sealer};

use crate::house::House;

pub(crate) fn name(text: &str) -> ApiName {
    ApiName::parse(text).unwrap()
}

pub(crate) fn field(id: u32, api_name: &str, kind: FieldKind) -> Field {
    let required = false;
    Field { id: FieldId(id), api_name: name(api_name), label: None, kind, required, default: None }
}

pub(crate) fn index(id: u32, fields: &[u32], unique: bool, slot: Option<u8>) -> Index {
    let fields = fields.iter().map(|id| FieldId(*id)).collect();
    Index { id: IndexId(id), fields, unique, slot, state: IndexState::Ready }
}

/// Students: `email` is unique, so are `name` and `age` together; found by `age` and by `status` and `age`.
pub(crate) fn students(prefix: TablePrefix, data_key: Sealed) -> Table {
    let text = TextRules::default;
    let picklist = FieldKind::Picklist { values: vec!["new".into(), "paid".into()] };
    let formula = FieldKind::Formula { expression: "age * 2".into(), result: FormulaResult::Integer };
    let mut fields = vec![
        field(1, "email", FieldKind::Email(text())),
        field(2, "name", FieldKind::Text(text())),
        field(3, "age", FieldKind::Integer { min: None, max: None }),
        field(4, "fee", FieldKind::Decimal(NumberRules::default())),
        field(5, "price", FieldKind::Currency(NumberRules::default())),
        field(6, "active", FieldKind::Boolean),
        field(7, "joined", FieldKind::DateTime),
        field(8, "status", picklist),
        field(9, "friend", FieldKind::Lookup { table: prefix }),
        field(10, "meta", FieldKind::Json),
        field(11, "ssn", FieldKind::EncryptedText(text())),
        field(12, "doubled", formula),
        field(13, "bio", FieldKind::TextArea(text())),
        field(14, "site", FieldKind::Url(text())),
    ];
    fields[7].default = Some("\"new\"".into());
    Table {
        prefix,
        api_name: name("Student"),
        label: None,
        fields,
        next_field: 15,
        rules: vec![Rule {
            name: name("no_way_back"),
            on: Operations { create: false, update: true, delete: true },
            expression: "old.status != 'paid' || (new != null && new.status == 'paid')".into(),
            message: "who has paid stays".into(),
        }],
        indexes: vec![
            index(1, &[1], true, None),
            index(2, &[3], false, Some(1)),
            index(3, &[8, 3], false, Some(2)),
            index(4, &[2, 3], true, Some(3)),
        ],
        next_index: 5,
        links: Vec::new(),
        next_link: 1,
        buckets: 4,
        data_key,
        state: TableState::Ready,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        version: 1,
    }
}

/// What a caller sends: a JSON object's members.
pub(crate) fn raw(json: &str) -> RawFields {
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(json).unwrap();
    fields
}

pub(crate) fn by(caller: KeyId) -> By {
    By { caller, idempotency: None, depth: 0 }
}

pub(crate) fn keyed(caller: KeyId, key: &str, request: u8) -> By {
    By { caller, idempotency: Some((key.to_owned(), [request; 32])), depth: 0 }
}

/// A sealer with a key of its own.
pub(crate) fn sealer() -> Sealer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    Sealer::create_key_file(&path).unwrap();
    Sealer::from_key_file(&path).unwrap()
}

/// Any table, open, known to no catalog.
pub(crate) async fn open(make: impl FnOnce(TablePrefix, Sealed) -> Table) -> OpenTable {
    let prefix = TablePrefix::nth(1234).unwrap();
    let sealer = sealer();
    let (sealed, _) = sealer.new_data_key(prefix).await.unwrap();
    let table = make(prefix, sealed);
    let keys = DataKeys::new(sealer).of(&table).await.unwrap();
    OpenTable { schema: Arc::new(TableSchema::compile(table).unwrap()), keys, queues: Arc::default() }
}

/// The same table, changed.
pub(crate) fn changed(open: &OpenTable, change: impl FnOnce(&mut Table)) -> OpenTable {
    let mut table = open.schema.table().clone();
    change(&mut table);
    OpenTable { schema: Arc::new(TableSchema::compile(table).unwrap()), ..open.clone() }
}

/// The value of a field.
pub(crate) fn value<'r>(record: &'r domain::Record, open: &OpenTable, field: &str) -> Option<&'r Value> {
    record.values.get(&open.schema.table().field(field).unwrap().id)
}

impl House {
    pub(crate) fn outbox_over(&self, client: Client) -> Outbox {
        Outbox::new(client, "outbox".into(), self.hands.clock())
    }

    pub(crate) fn records(&self) -> Records {
        Records::new(self.client.clone(), "records".into(), self.outbox(), self.hands.clock())
    }

    /// A table of students that `catalog` knows.
    pub(crate) async fn students(&self, catalog: &Catalog, api_name: &str) -> Table {
        let prefix = catalog.take_table_prefix().await.unwrap();
        let mut table = students(prefix, Sealed(vec![1, 2, 3]));
        table.api_name = name(api_name);
        catalog.create_table(&table).await.unwrap();
        table
    }
}
