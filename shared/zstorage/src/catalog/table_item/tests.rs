#![allow(clippy::unwrap_used, reason = "a test may panic")]
use domain::{HandlerName, Link, LinkId, LinkMode, LinkPayload, QueueId};
use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

fn names() -> impl Strategy<Value = ApiName> {
    "[A-Za-z][A-Za-z0-9_]{0,12}".prop_map(|name| ApiName::parse(&name).unwrap())
}

fn text_rules() -> impl Strategy<Value = TextRules> {
    (any::<Option<u32>>(), any::<Option<u32>>(), proptest::option::of("\\PC{0,20}"))
        .prop_map(|(min_length, max_length, pattern)| TextRules { min_length, max_length, pattern })
}

fn number_rules() -> impl Strategy<Value = NumberRules> {
    let decimal = || proptest::option::of(("-?[0-9]{1,38}", -87_i32..87));
    (decimal(), decimal(), any::<Option<u8>>()).prop_map(|(min, max, scale)| {
        let read = |some: Option<(String, i32)>| {
            some.map(|(digits, power)| format!("{digits}e{power}").parse().unwrap())
        };
        NumberRules { min: read(min), max: read(max), scale }
    })
}

fn kinds() -> impl Strategy<Value = FieldKind> {
    use FormulaResult::{Boolean, Decimal, Integer, Text};
    prop_oneof![
        text_rules().prop_map(FieldKind::Text),
        text_rules().prop_map(FieldKind::TextArea),
        text_rules().prop_map(FieldKind::Email),
        text_rules().prop_map(FieldKind::Url),
        text_rules().prop_map(FieldKind::EncryptedText),
        (any::<Option<i64>>(), any::<Option<i64>>()).prop_map(|(min, max)| FieldKind::Integer { min, max }),
        number_rules().prop_map(FieldKind::Decimal),
        number_rules().prop_map(FieldKind::Currency),
        Just(FieldKind::Boolean),
        Just(FieldKind::DateTime),
        Just(FieldKind::Json),
        proptest::collection::vec("\\PC{1,9}", 1..4).prop_map(|values| FieldKind::Picklist { values }),
        (0_u32..22_528).prop_map(|n| FieldKind::Lookup { table: TablePrefix::nth(n).unwrap() }),
        ("\\PC{0,30}", 0..4_usize).prop_map(|(expression, result)| FieldKind::Formula {
            expression,
            result: [Text, Integer, Decimal, Boolean][result]
        }),
    ]
}

fn fields() -> impl Strategy<Value = Field> {
    (
        any::<u32>(),
        names(),
        proptest::option::of("\\PC{0,9}"),
        kinds(),
        any::<bool>(),
        proptest::option::of("\\PC{0,9}"),
    )
        .prop_map(|(id, api_name, label, kind, required, default)| Field {
            id: FieldId(id),
            api_name,
            label,
            kind,
            required,
            default,
        })
}

fn rules() -> impl Strategy<Value = Rule> {
    (names(), any::<[bool; 3]>(), "\\PC{0,20}", "\\PC{0,20}").prop_map(
        |(name, [create, update, delete], expression, message)| Rule {
            name,
            on: Operations { create, update, delete },
            expression,
            message,
        },
    )
}

fn indexes() -> impl Strategy<Value = Index> {
    let state = prop_oneof![
        Just(IndexState::Ready),
        "[0-9A-Z]{1,9}".prop_map(|job| IndexState::Building { job }),
        proptest::collection::vec(("[A-Z]{1,5}", "[A-Z]{1,5}"), 0..3)
            .prop_map(|duplicates| IndexState::Failed { duplicates }),
    ];
    (any::<u32>(), proptest::collection::vec(any::<u32>(), 1..4), any::<bool>(), any::<Option<u8>>(), state)
        .prop_map(|(id, fields, unique, slot, state)| Index {
            id: IndexId(id),
            fields: fields.into_iter().map(FieldId).collect(),
            unique,
            slot,
            state,
        })
}

prop_compose! {
    fn links()(
        table in 0_u32..22_528, number in 0..1_000_000_u32, queue in any::<u64>(), on in any::<[bool; 3]>(), strict in any::<bool>(),
        condition in proptest::option::of("\\PC{0,20}"), only in proptest::collection::vec(any::<u32>(), 0..4),
        handler in proptest::option::of("[a-z]{1,9}/[a-z]{1,9}"), template in proptest::option::of("\\PC{0,20}"),
        ordering_key in proptest::option::of("\\PC{0,20}"), enabled in any::<bool>(),
    ) -> Link {
        let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(queue);
        let only_fields: Vec<FieldId> = only.into_iter().map(FieldId).collect();
        Link {
            id: LinkId { table: TablePrefix::nth(table).unwrap(), number },
            queue: QueueId::new(Timestamp::UNIX_EPOCH, &mut random),
            on: Operations { create: on[0], update: on[1], delete: on[2] },
            mode: if strict { LinkMode::Strict } else { LinkMode::Outbox },
            condition,
            payload: match template {
                Some(text) => LinkPayload::Template(text),
                None if only_fields.is_empty() => LinkPayload::Whole,
                None => LinkPayload::Fields(only_fields.clone()),
            },
            only_fields,
            handler: handler.map(|name| HandlerName::parse(&name).unwrap()),
            ordering_key,
            enabled,
        }
    }
}

prop_compose! {
    fn tables()(
        prefix in 0_u32..22_528, api_name in names(), label in proptest::option::of("\\PC{0,9}"),
        fields in proptest::collection::vec(fields(), 0..6), rules in proptest::collection::vec(rules(), 0..4),
        indexes in proptest::collection::vec(indexes(), 0..4), links in proptest::collection::vec(links(), 0..4), next in any::<[u32; 2]>(), buckets in 1..=32_u8,
        data_key in proptest::collection::vec(any::<u8>(), 0..80), deleting in any::<bool>(),
        at in 0..4_000_000_000_i64, version in any::<u64>(),
    ) -> Table {
        let at = Timestamp::from_second(at).unwrap();
        let state = if deleting { TableState::Deleting } else { TableState::Ready };
        Table {
            prefix: TablePrefix::nth(prefix).unwrap(),
            api_name, label, fields, next_field: next[0], rules, indexes, next_index: next[1], links, next_link: next[1], buckets,
            data_key: Sealed(data_key), state, created_at: at, updated_at: at, version,
        }
    }
}

proptest! {
    #[test]
    fn a_table_is_read_as_it_was_written(table in tables()) {
        prop_assert_eq!(read(&write(&table)).unwrap(), table);
    }
}

#[test]
fn a_definition_of_another_form_is_an_error_that_names_the_item() {
    let item = Writer::new(PK, "A00").set("definition", text(r#"{"v":"2"}"#)).done();
    let error = read(&item).unwrap_err().to_string();
    assert!(error.contains("table / A00") && error.contains("definition"), "{error}");
}
