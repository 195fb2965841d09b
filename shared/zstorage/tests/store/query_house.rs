//! A table of students to ask, and a meter of what DynamoDB says it did.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use domain::{
    ApiName, Field, FieldId, FieldKind, Filter, Index, IndexId, IndexState, NumberRules, RawFields, Record,
    Sealed, Table, TablePrefix, TableSchema, TableState, TextRules, Value, fold,
};
use jiff::Timestamp;
use serde_json::value::RawValue;
use zstorage::{By, Direction, Found, OpenTable, Query, QueryError, Records, Sealer};

use crate::house::{House, key_id};

pub(crate) const NAME: FieldId = FieldId(1);
pub(crate) const AGE: FieldId = FieldId(2);
pub(crate) const STATUS: FieldId = FieldId(3);
pub(crate) const PRICE: FieldId = FieldId(4);
pub(crate) const BORN: FieldId = FieldId(5);
pub(crate) const EMAIL: FieldId = FieldId(6);
pub(crate) const ACTIVE: FieldId = FieldId(7);
pub(crate) const EXTRA: FieldId = FieldId(9);

/// The table Student of `prefix`, indexed by age, status and age, name, price and birth; e-mail addresses are unique.
pub(crate) fn students(prefix: TablePrefix, data_key: Sealed) -> Table {
    let text = || TextRules::default();
    let status = ["new", "paid", "late"].map(str::to_owned).to_vec();
    let kinds = [
        ("name", FieldKind::Text(text())),
        ("age", FieldKind::Integer { min: None, max: None }),
        ("status", FieldKind::Picklist { values: status }),
        ("price", FieldKind::Decimal(NumberRules::default())),
        ("born", FieldKind::DateTime),
        ("email", FieldKind::Email(text())),
        ("active", FieldKind::Boolean),
        ("notes", FieldKind::TextArea(text())),
        ("extra", FieldKind::Json),
    ];
    let field = |(at, (name, kind)): (usize, (&str, FieldKind))| Field {
        id: FieldId(u32::try_from(at + 1).unwrap()),
        api_name: ApiName::parse(name).unwrap(),
        label: None,
        kind,
        required: false,
        default: None,
    };
    let index = |(at, fields): (usize, Vec<FieldId>)| {
        let unique = fields == [EMAIL];
        let slot = (!unique).then(|| u8::try_from(at + 1).unwrap());
        Index { id: IndexId(u32::try_from(at + 1).unwrap()), fields, unique, slot, state: IndexState::Ready }
    };
    let indexes = [vec![AGE], vec![STATUS, AGE], vec![NAME], vec![PRICE], vec![BORN], vec![EMAIL]];
    Table {
        prefix,
        api_name: ApiName::parse("Student").unwrap(),
        label: None,
        fields: kinds.into_iter().enumerate().map(field).collect(),
        next_field: 10,
        rules: Vec::new(),
        indexes: indexes.into_iter().enumerate().map(index).collect(),
        next_index: 7,
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

/// A table in a DynamoDB of its own.
pub(crate) struct School {
    pub(crate) house: House,
    pub(crate) records: Records,
    pub(crate) open: OpenTable,
    pub(crate) meter: Meter,
}

impl School {
    pub(crate) async fn new() -> School {
        let house = House::new().await;
        let meter = Meter::default();
        let config = house.client.config().to_builder().interceptor(meter.clone());
        let client = Client::from_conf(config.build());
        let records = Records::new(client, "records".into(), house.outbox(), house.hands.clock());
        let open = School::table(0).await;
        School { house, records, open, meter }
    }

    /// The table as it is once its records are spread over `buckets` partitions.
    pub(crate) fn grown(&self, buckets: u8) -> OpenTable {
        changed(&self.open, |table| table.buckets = buckets)
    }

    /// The same design once more, as the `number`th table.
    pub(crate) async fn table(number: u32) -> OpenTable {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let prefix = TablePrefix::nth(number).unwrap();
        let sealer = Sealer::from_key_file(&file).unwrap();
        let (sealed, key) = sealer.new_data_key(prefix).await.unwrap();
        let schema = TableSchema::compile(students(prefix, sealed)).unwrap();
        OpenTable { schema: Arc::new(schema), keys: Arc::new(key.table_keys()), queues: Arc::default() }
    }

    pub(crate) async fn create(&self, json: &str) -> Record {
        // Each at a moment of its own, so that age is an order.
        self.house.hands.turn_secs(1);
        self.records.create(&self.open, &fields(json), &by()).await.unwrap().record
    }

    pub(crate) fn filter(&self, text: &str) -> Option<Filter> {
        Some(
            Filter::parse(text, self.open.schema.table()).unwrap_or_else(|fault| panic!("{text}: {fault:?}")),
        )
    }

    pub(crate) async fn query(&self, query: &Query) -> Result<Found, QueryError> {
        self.records.query(&self.open, query).await
    }

    /// All pages, and how often it was asked.
    pub(crate) async fn pages(&self, query: &Query) -> Result<(Vec<Record>, usize), QueryError> {
        let (mut records, mut query) = (Vec::new(), query.clone());
        for page in 1..10_000 {
            let found = self.query(&query).await?;
            assert!(found.records.len() <= query.limit);
            records.extend(found.records);
            query.cursor = found.cursor;
            if query.cursor.is_none() {
                return Ok((records, page));
            }
        }
        panic!("the pages of {query:?} never end");
    }
}

/// The same table under another design.
pub(crate) fn changed(open: &OpenTable, change: impl FnOnce(&mut Table)) -> OpenTable {
    let mut table = open.schema.table().clone();
    change(&mut table);
    OpenTable { schema: Arc::new(TableSchema::compile(table).unwrap()), ..open.clone() }
}

pub(crate) fn by() -> By {
    By { caller: key_id(), idempotency: None, depth: 0 }
}

pub(crate) fn fields(json: &str) -> RawFields {
    serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(json).unwrap()
}

/// What `query` is about among `all`, in its order, told without the store.
pub(crate) fn expected(open: &OpenTable, all: &[Record], query: &Query) -> Vec<Record> {
    let table = open.schema.table();
    let words = fold(query.search.as_deref().unwrap_or_default());
    let found = |record: &&Record| {
        let holds = query.filter.as_ref().is_none_or(|filter| filter.holds(table, &record.values));
        let folded = open.schema.folded(&record.values);
        holds
            && words.split_whitespace().all(|word| folded.contains(word))
            && query.sort.iter().all(|(field, _)| record.values.contains_key(field))
    };
    let mut expected: Vec<Record> = all.iter().filter(found).cloned().collect();
    expected.sort_by(|a, b| order(&query.sort, a, b));
    expected
}

pub(crate) fn order(sort: &[(FieldId, Direction)], a: &Record, b: &Record) -> Ordering {
    let by = |(field, direction): &(FieldId, Direction)| {
        let order = compare(&a.values[field], &b.values[field]);
        if *direction == Direction::Descending { order.reverse() } else { order }
    };
    sort.iter().map(by).fold(Ordering::Equal, Ordering::then)
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
        _ => panic!("two kinds in one field"),
    }
}

/// Adds up what DynamoDB's answers say of themselves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    items: AtomicU64,
    units: Mutex<f64>,
}

impl Meter {
    /// Calls, items read and units consumed since it was last asked.
    pub(crate) fn take(&self) -> (u64, u64, f64) {
        let units = std::mem::take(&mut *self.0.units.lock().unwrap());
        (self.0.calls.swap(0, Atomic::SeqCst), self.0.items.swap(0, Atomic::SeqCst), units)
    }
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Ok(output) = context.output_or_error() else { return Ok(()) };
        let (items, consumed) = if let Some(output) = output.downcast_ref::<QueryOutput>() {
            (u64::try_from(output.scanned_count)?, output.consumed_capacity())
        } else if let Some(output) = output.downcast_ref::<GetItemOutput>() {
            (u64::from(output.item.is_some()), output.consumed_capacity())
        } else {
            return Ok(());
        };
        self.0.calls.fetch_add(1, Atomic::SeqCst);
        self.0.items.fetch_add(items, Atomic::SeqCst);
        *self.0.units.lock().unwrap() += consumed.and_then(|c| c.capacity_units).unwrap_or_default();
        Ok(())
    }
}
