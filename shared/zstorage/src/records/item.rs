//! A record as an item of the Records table.
//!
//! Values are stored under the numbers of their fields (`f12`), so that a field can be renamed, and a new field never shows
//! what an old one of its name had. What is absent is null.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    Decimal, Field, FieldId, FieldKind, FormulaResult, Index, Record, RecordId, TablePrefix, Value, Values,
};
use jiff::Timestamp;

use super::OpenTable;
use super::index_key::index_key;
use crate::StoreError;
use crate::item::{Item, Reader, Writer, bytes, number, text};
use crate::table::Expression;

/// The record's version.
pub(crate) const VERSION: &str = "v";
/// When it was made.
pub(crate) const CREATED: &str = "c";
/// When it was last written.
pub(crate) const UPDATED: &str = "u";
/// What a search looks into.
pub(crate) const FOLDED: &str = "s";

/// The attribute that a field's values are under.
pub(crate) fn field_attribute(field: FieldId) -> String {
    format!("f{}", field.0)
}

/// The attributes of an index: partition and sort key. `None` for one that only guards.
pub(crate) fn index_attributes(index: &Index) -> Option<(String, String)> {
    index.slot.map(|slot| (format!("i{slot}pk"), format!("i{slot}sk")))
}

/// The partition of one bucket of a table.
pub(crate) fn partition(table: TablePrefix, bucket: char) -> String {
    format!("{table}#{bucket}")
}

/// A record's partition and sort key.
pub(crate) fn key_of(id: RecordId) -> (String, String) {
    (partition(id.table(), id.bucket()), id.to_string())
}

/// The record still has this version.
pub(crate) fn at_version(version: u64) -> Expression {
    Expression::at_version(VERSION, version)
}

/// `record`, whole: its values, its place in every index that writes keep, its text for searches.
pub(crate) fn item_of(open: &OpenTable, record: &Record) -> Item {
    let table = open.schema.table();
    let (pk, sk) = key_of(record.id);
    let folded = open.schema.folded(&record.values);
    let mut item = Writer::new(&pk, &sk)
        .set(VERSION, number(record.version))
        .set(CREATED, text(moment_text(record.created_at)))
        .set(UPDATED, text(moment_text(record.updated_at)))
        .set_some(FOLDED, (!folded.is_empty()).then(|| text(folded)))
        .done();
    for (field, value) in &record.values {
        let value = match value {
            Value::Encrypted(clear) => bytes(&open.keys.seal(record.id, *field, clear)),
            value => attribute_of(value),
        };
        item.insert(field_attribute(*field), value);
    }
    for index in table.kept_indexes() {
        if let Some((pk_name, sk_name)) = index_attributes(index)
            && let Some((pk, sk)) = index_key(table, index, &record.values, &record.id)
        {
            item.insert(pk_name, text(pk));
            item.insert(sk_name, bytes(&sk));
        }
    }
    item
}

/// The record that `item` holds. Values of fields that the table has no more are passed by.
pub(crate) fn record_of(open: &OpenTable, item: &Item) -> Result<Record, StoreError> {
    let reader = Reader(item);
    let id: RecordId = reader.parsed("sk")?;
    let moment =
        |name: &str| moment_of(reader.text(name)?).ok_or_else(|| reader.fault(name, "is not a moment"));
    let table = open.schema.table();
    let mut values = Values::new();
    for (name, stored) in item {
        let field = name.strip_prefix('f').and_then(|id| table.field_by_id(FieldId(id.parse().ok()?)));
        if let Some(field) = field
            && let Some(value) =
                value_of(open, id, field, stored).map_err(|fault| reader.fault(name, fault))?
        {
            values.insert(field.id, value);
        }
    }
    Ok(Record {
        id,
        version: reader.number(VERSION)?,
        values,
        created_at: moment(CREATED)?,
        updated_at: moment(UPDATED)?,
    })
}

/// Of what `item` holds that which can be read: for who has to do away with it whatever became of it. Nothing is unsealed.
pub(crate) fn readable_values(open: &OpenTable, item: &Item) -> Values {
    let value =
        |field: &Field| Some((field.id, plain_value(&field.kind, item.get(&field_attribute(field.id))?)?));
    open.schema.table().fields.iter().filter_map(value).collect()
}

/// Puts into `new`, written by the fields we know, what `old` has of fields that were added since we read the table: at most
/// for as long as the catalog is cached, another process knows more fields than this one.
pub(crate) fn keep_newer_fields(new: &mut Item, old: &Item, next_field: u32) {
    let is_newer = |name: &str| {
        let id = name.strip_prefix('f').and_then(|id| id.parse::<u32>().ok());
        id.is_some_and(|id| id >= next_field)
    };
    let newer = old.iter().filter(|(name, _)| is_newer(name));
    new.extend(newer.map(|(name, value)| (name.clone(), value.clone())));
}

/// A value as DynamoDB compares it. Not for encrypted text, which has no form that could be compared: it gives null.
pub(crate) fn attribute_of(value: &Value) -> AttributeValue {
    match value {
        Value::Text(value) | Value::Json(value) => text(value),
        Value::Integer(value) => number(value),
        Value::Decimal(value) => number(value),
        Value::Boolean(value) => AttributeValue::Bool(*value),
        Value::DateTime(value) => text(moment_text(*value)),
        Value::Lookup(value) => text(value),
        Value::Encrypted(_) => AttributeValue::Null(true),
    }
}

/// The value of a field; an error is what is wrong with it.
fn value_of(
    open: &OpenTable,
    id: RecordId,
    field: &Field,
    stored: &AttributeValue,
) -> Result<Option<Value>, &'static str> {
    let read = match &field.kind {
        FieldKind::EncryptedText(_) => {
            let sealed = stored.as_b().ok();
            sealed.and_then(|sealed| open.keys.open(id, field.id, sealed.as_ref())).map(Value::Encrypted)
        }
        kind => plain_value(kind, stored),
    };
    match (&field.kind, read) {
        // A formula that gives another kind now: its old values are as good as absent until the record is written.
        (FieldKind::Formula { .. }, None) => Ok(None),
        (FieldKind::EncryptedText(_), None) => Err("does not open with the table's key"),
        (_, None) => Err("is not of its field's kind"),
        (_, value) => Ok(value),
    }
}

fn plain_value(kind: &FieldKind, stored: &AttributeValue) -> Option<Value> {
    let stored_text = || stored.as_s().ok();
    let digits = || stored.as_n().ok();
    let exact = || digits()?.parse::<Decimal>().ok();
    // Another writer's `1e2` is as whole as a 100.
    let whole = || digits()?.parse().ok().or_else(|| exact()?.to_i64());
    match kind {
        FieldKind::Text(_)
        | FieldKind::TextArea(_)
        | FieldKind::Email(_)
        | FieldKind::Url(_)
        | FieldKind::Picklist { .. }
        | FieldKind::Formula { result: FormulaResult::Text, .. } => stored_text().cloned().map(Value::Text),
        FieldKind::Integer { .. } | FieldKind::Formula { result: FormulaResult::Integer, .. } => {
            whole().map(Value::Integer)
        }
        FieldKind::Decimal(_)
        | FieldKind::Currency(_)
        | FieldKind::Formula { result: FormulaResult::Decimal, .. } => exact().map(Value::Decimal),
        FieldKind::Boolean | FieldKind::Formula { result: FormulaResult::Boolean, .. } => {
            stored.as_bool().ok().copied().map(Value::Boolean)
        }
        FieldKind::DateTime => moment_of(stored_text()?).map(Value::DateTime),
        FieldKind::Lookup { .. } => stored_text()?.parse().ok().map(Value::Lookup),
        FieldKind::Json => stored_text().cloned().map(Value::Json),
        FieldKind::EncryptedText(_) => None,
    }
}

/// A moment as text of one width whose order is that of time: RFC 3339 to the nanosecond. Years before 0, which RFC 3339 does not
/// have, are counted from the first moment there is, behind a sign that sorts before every digit.
pub(crate) fn moment_text(at: Timestamp) -> String {
    let text = format!("{at:.9}");
    if text.starts_with('-') {
        let since = at.as_nanosecond() - Timestamp::MIN.as_nanosecond();
        format!("-{since:029}")
    } else {
        text
    }
}

pub(crate) fn moment_of(text: &str) -> Option<Timestamp> {
    match text.strip_prefix('-') {
        Some(since) => {
            let nanosecond = since.parse::<i128>().ok()? + Timestamp::MIN.as_nanosecond();
            Timestamp::from_nanosecond(nanosecond).ok()
        }
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::sync::Arc;

    use domain::{
        ApiName, IndexId, IndexState, NumberRules, Secret, Table, TableSchema, TableState, TextRules,
    };
    use proptest::prelude::*;

    use super::*;
    use crate::seal::DataKey;

    fn fields() -> Vec<Field> {
        let kinds = [
            FieldKind::Text(TextRules::default()),
            FieldKind::Integer { min: None, max: None },
            FieldKind::Decimal(NumberRules::default()),
            FieldKind::Boolean,
            FieldKind::DateTime,
            FieldKind::Lookup { table: TablePrefix::nth(3).unwrap() },
            FieldKind::Json,
            FieldKind::EncryptedText(TextRules::default()),
        ];
        let field = |(id, kind): (u32, FieldKind)| Field {
            id: FieldId(id),
            api_name: ApiName::parse(&format!("f{id}")).unwrap(),
            label: None,
            kind,
            required: false,
            default: None,
        };
        (1..).zip(kinds).map(field).collect()
    }

    fn open() -> OpenTable {
        let index = |id, fields: &[u32], slot| Index {
            id: IndexId(id),
            fields: fields.iter().map(|id| FieldId(*id)).collect(),
            unique: false,
            slot: Some(slot),
            state: IndexState::Ready,
        };
        let table = Table {
            prefix: TablePrefix::nth(7).unwrap(),
            api_name: ApiName::parse("T").unwrap(),
            label: None,
            fields: fields(),
            next_field: 9,
            rules: Vec::new(),
            indexes: vec![index(1, &[1], 1), index(2, &[3, 2], 5)],
            next_index: 3,
            links: Vec::new(),
            next_link: 1,
            buckets: 4,
            data_key: domain::Sealed(Vec::new()),
            state: TableState::Ready,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
            version: 1,
        };
        let keys = DataKey::of(&[7; 32]).unwrap().table_keys();
        OpenTable {
            schema: Arc::new(TableSchema::compile(table).unwrap()),
            keys: Arc::new(keys),
            queues: Arc::default(),
        }
    }

    fn moments() -> impl Strategy<Value = Timestamp> {
        (Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(), 0..1_000_000_000_i32)
            .prop_map(|(secs, nanos)| Timestamp::new(secs, nanos).unwrap_or(Timestamp::MIN))
    }

    fn texts() -> impl Strategy<Value = String> {
        proptest::collection::vec(any::<char>(), 0..30).prop_map(|chars| chars.into_iter().collect())
    }

    prop_compose! {
        fn records()(
            seed in any::<u64>(), version in 1_u64.., created_at in moments(), updated_at in moments(),
            text in proptest::option::of(texts()), whole in any::<Option<i64>>(),
            exact in proptest::option::of(("-?[0-9]{1,38}", -87_i32..87)), flag in any::<Option<bool>>(),
            at in proptest::option::of(moments()), secret in proptest::option::of(texts()), points in any::<bool>(),
        ) -> Record {
            let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(seed);
            let mut id = |table| RecordId::new(TablePrefix::nth(table).unwrap(), 32, Timestamp::UNIX_EPOCH, &mut random);
            let values = [
                text.clone().map(Value::Text),
                whole.map(Value::Integer),
                exact.map(|(digits, power)| Value::Decimal(format!("{digits}e{power}").parse().unwrap())),
                flag.map(Value::Boolean),
                at.map(Value::DateTime),
                points.then(|| Value::Lookup(id(3))),
                text.map(|text| Value::Json(serde_json::to_string(&text).unwrap())),
                secret.map(|text| Value::Encrypted(Secret::new(text))),
            ];
            let some = (1..).zip(values).filter_map(|(id, value)| Some((FieldId(id), value?)));
            Record { id: id(7), version, values: some.collect(), created_at, updated_at }
        }
    }

    proptest! {
        #[test]
        fn a_record_is_read_from_its_item_as_it_was_written(record in records()) {
            let open = open();
            let item = item_of(&open, &record);
            prop_assert_eq!(record_of(&open, &item).unwrap(), record);
            let sort_keys = [item.get("i1sk"), item.get("i5sk")].into_iter().flatten();
            prop_assert!(sort_keys.into_iter().all(|key| (17..=1024).contains(&key.as_b().unwrap().as_ref().len())));
        }

        #[test]
        fn moments_have_one_width_and_sort_as_time_does(one in moments(), other in moments()) {
            let (a, b) = (moment_text(one), moment_text(other));
            prop_assert_eq!(a.len(), b.len());
            prop_assert_eq!(a.cmp(&b), one.cmp(&other), "{} {}", a, b);
            prop_assert_eq!(moment_of(&a), Some(one));
        }

        #[test]
        fn a_sealed_text_opens_at_its_own_place_alone(record in records(), other in records(), text in texts()) {
            let keys = open().keys;
            let sealed = keys.seal(record.id, FieldId(8), &Secret::new(text.clone()));
            let opened = keys.open(record.id, FieldId(8), &sealed).unwrap();
            prop_assert_eq!(opened.expose(), &text);
            prop_assert!(keys.open(record.id, FieldId(9), &sealed).is_none());
            prop_assert!(record.id == other.id || keys.open(other.id, FieldId(8), &sealed).is_none());
            let another = DataKey::of(&[8; 32]).unwrap().table_keys();
            prop_assert!(another.open(record.id, FieldId(8), &sealed).is_none());
        }
    }

    #[test]
    fn a_value_that_is_not_of_its_fields_kind_is_an_error_that_shows_no_value() {
        let open = open();
        let record = Record {
            id: RecordId::new(TablePrefix::nth(7).unwrap(), 1, Timestamp::UNIX_EPOCH, &mut rand::rng()),
            version: 1,
            values: Values::new(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        for (name, value) in
            [("f1", number(1)), ("f2", text("canary")), ("f2", number("1.5")), ("f8", bytes(b"canary"))]
        {
            let mut item = item_of(&open, &record);
            item.insert(name.into(), value);
            let error = record_of(&open, &item).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("canary"), "{error}");
        }
        let mut item = item_of(&open, &record);
        item.insert("f99".into(), text("of a field that is gone"));
        assert_eq!(record_of(&open, &item).unwrap(), record);
    }
}
