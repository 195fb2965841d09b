//! What tests of record routes stand on: tables and records in an embedded DynamoDB.
#![allow(dead_code, unreachable_pub, reason = "each test binary that includes this file uses a part of it")]

use std::sync::Arc;

use domain::{
    ApiName, Clock, Field, FieldId, FieldKind, Index, IndexId, IndexState, KeyId, Link, LinkId, LinkMode,
    LinkPayload, NumberRules, Operations, QueueId, RawFields, Rule, Table, TableState, TextRules,
};
use zstorage::{By, Catalog, DataKeys, OpenTable, Outbox, Records, Sealer};

use crate::store::{Store, client};

/// The records of the store at `endpoint`.
pub fn records_at(endpoint: &str, clock: &Clock) -> Records {
    let client = client(endpoint);
    let outbox = Outbox::new(client.clone(), "outbox".into(), clock.clone());
    Records::new(client, "records".into(), outbox, clock.clone())
}

/// Tables as a function finds them.
pub struct Tables {
    pub store: Store,
    pub records: Records,
    pub tables: api::Tables,
    keys: DataKeys,
    sealer: Sealer,
    _files: tempfile::TempDir,
}

/// How a test designs a table; fields and indexes are numbered in order.
pub struct Design {
    fields: Vec<Field>,
    rules: Vec<Rule>,
    indexes: Vec<Index>,
    links: Vec<(QueueId, LinkMode)>,
}

impl Design {
    pub fn new() -> Design {
        Design { fields: Vec::new(), rules: Vec::new(), indexes: Vec::new(), links: Vec::new() }
    }

    /// Every write makes a message on `queue`.
    pub fn linked(mut self, queue: QueueId, mode: LinkMode) -> Design {
        self.links.push((queue, mode));
        self
    }

    pub fn field(mut self, name: &str, kind: FieldKind) -> Design {
        let id = FieldId(self.fields.len() as u32 + 1);
        let api_name = ApiName::parse(name).unwrap();
        self.fields.push(Field { id, api_name, label: None, kind, required: false, default: None });
        self
    }

    pub fn text(self, name: &str) -> Design {
        self.field(name, FieldKind::Text(TextRules::default()))
    }

    pub fn integer(self, name: &str) -> Design {
        self.field(name, FieldKind::Integer { min: None, max: None })
    }

    pub fn decimal(self, name: &str) -> Design {
        self.field(name, FieldKind::Decimal(NumberRules::default()))
    }

    pub fn required(mut self) -> Design {
        self.fields.last_mut().unwrap().required = true;
        self
    }

    /// The last field's values stand only once.
    pub fn unique(self) -> Design {
        let field = self.fields.last().unwrap().id;
        self.index_of(vec![field], true, None)
    }

    /// The last field is indexed.
    pub fn indexed(self) -> Design {
        let field = self.fields.last().unwrap().id;
        let slot = self.indexes.iter().filter(|index| index.slot.is_some()).count() as u8 + 1;
        self.index_of(vec![field], false, Some(slot))
    }

    fn index_of(mut self, fields: Vec<FieldId>, unique: bool, slot: Option<u8>) -> Design {
        let id = IndexId(self.indexes.len() as u32 + 1);
        self.indexes.push(Index { id, fields, unique, slot, state: IndexState::Ready });
        self
    }

    pub fn rule(mut self, name: &str, expression: &str) -> Design {
        let (name, expression) = (ApiName::parse(name).unwrap(), expression.to_owned());
        self.rules.push(Rule { name, on: Operations::WRITES, expression, message: "it must be so".into() });
        self
    }
}

impl Tables {
    pub async fn start() -> Tables {
        let store = Store::start().await;
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let sealer = Sealer::from_key_file(&file).unwrap();
        let keys = DataKeys::new(sealer.clone());
        Tables {
            records: records_at(&store.endpoint, &store.clock),
            tables: api::Tables::new(store.catalog.clone(), keys.clone()),
            store,
            keys,
            sealer,
            _files: files,
        }
    }

    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Records in a store that nobody answers for.
    pub async fn records_out_of_reach(&self) -> Records {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let nowhere = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        records_at(&nowhere, &self.store.clock)
    }

    pub fn catalog(&self) -> &Catalog {
        &self.store.catalog
    }

    /// A new table.
    pub async fn table(&self, name: &str, design: Design) -> OpenTable {
        let prefix = self.catalog().take_table_prefix().await.unwrap();
        let (data_key, _) = self.sealer.new_data_key(prefix).await.unwrap();
        let now = self.store.clock.now();
        let link = |(at, (queue, mode)): (usize, (QueueId, LinkMode))| Link {
            id: LinkId { table: prefix, number: at as u32 + 1 },
            queue,
            on: Operations { create: true, update: true, delete: true },
            mode,
            condition: None,
            only_fields: Vec::new(),
            handler: None,
            payload: LinkPayload::Whole,
            ordering_key: None,
            enabled: true,
        };
        let table = Table {
            prefix,
            api_name: ApiName::parse(name).unwrap(),
            label: None,
            next_field: design.fields.len() as u32 + 1,
            fields: design.fields,
            rules: design.rules,
            next_index: design.indexes.len() as u32 + 1,
            next_link: design.links.len() as u32 + 1,
            links: design.links.into_iter().enumerate().map(link).collect(),
            indexes: design.indexes,
            buckets: domain::DEFAULT_BUCKETS,
            data_key,
            state: TableState::Ready,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let schema = self.catalog().create_table(&table).await.unwrap();
        let keys = self.keys.of(schema.table()).await.unwrap();
        OpenTable { keys, schema, queues: Arc::default() }
    }

    /// A new record, past the API; tells its id.
    pub async fn record(&self, table: &OpenTable, fields: &str) -> String {
        let fields: RawFields = serde_json::from_str(fields).unwrap();
        let by =
            By { caller: KeyId::new(self.store.clock.now(), &mut rand::rng()), idempotency: None, depth: 0 };
        self.records.create(table, &fields, &by).await.unwrap().record.id.to_string()
    }
}
