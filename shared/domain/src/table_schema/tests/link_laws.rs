//! What holds of links whatever they are and whatever is written.

use super::super::read::without_blanks;
use super::naughty::{any_fields, any_json, without};
use super::*;
use crate::{MAX_DEPTH, ascii_json, check_body, check_json};
use proptest::prelude::*;

/// Links that read all kinds of fields, without a care for what they find.
fn opinionated() -> TableSchema {
    let conditions = [
        None,
        Some("new == null || old == null || new.integer > old.integer"),
        Some("new == null || new.json.a == 'b' || size(new.text) / new.integer > 1"),
    ];
    let template = r#"{"t":["${new == null ? old.text : new.text}","${new == null ? null : new.area}"],"j":"${new == null ? 1 : new.integer / 7}",
        "in":"a ${new == null ? '' : new.email} b ${new == null ? old.at : new.at} $${c}","n":1.50}"#;
    let of_new = r#"["${new.json}","${new.json.a}","${new.json.a.b}","x${new.json}y","${new.decimal}","${new.currency}","${new.lookup}",
        "${new.secret == null}","${old == null ? 0 : 100 / old.integer}","${timestamp(new.text)}","${int(new.text) + 1}"]"#;
    let payloads = [
        LinkPayload::Whole,
        LinkPayload::Fields(vec![FieldId(11), FieldId(12), FieldId(0)]),
        LinkPayload::Template(template.to_owned()),
    ];
    let mut links = Vec::new();
    for (condition, payload) in conditions.iter().flat_map(|c| payloads.iter().map(move |p| (c, p))) {
        let mut one = link(u32::try_from(links.len()).unwrap() + 1);
        one.on = ALWAYS;
        one.condition = condition.map(str::to_owned);
        one.payload = payload.clone();
        one.ordering_key =
            Some("${new == null ? old.text : new.text}-${new == null ? 0 : new.integer}".to_owned());
        links.push(one);
    }
    let mut last = link(10);
    last.payload = LinkPayload::Template(of_new.to_owned());
    last.only_fields = vec![FieldId(0), FieldId(11)];
    links.push(last);
    schema(linked(every_kind(), links))
}

/// A record with whatever of `given` its fields take.
fn kept(schema: &TableSchema, given: RawFields) -> Values {
    let faults = schema.create(&given, now()).err().unwrap_or_default();
    schema.create(&without(given, &faults), now()).unwrap()
}

/// A template without holes.
fn any_template() -> impl Strategy<Value = String> {
    any_json().prop_filter("a template that is taken", |json| {
        !json.contains("${") && json.len() < 60_000 && check_json(json).is_ok()
    })
}

proptest! {
    #[test]
    fn no_write_brings_a_link_down_and_every_body_is_ascii_json(old in any_fields(), new in any_fields(), kind in 0..4_usize) {
        let schema = opinionated();
        let (old, new) = (kept(&schema, old), kept(&schema, new));
        let asked = match kind {
            0 => write(None, Some(&new)),
            1 => write(Some(&old), None),
            2 => write(Some(&old), Some(&new)),
            // Nobody writes so, and it is asked all the same.
            _ => RecordWrite { operation: Operation::Update, ..write(None, None) },
        };
        for (link, message) in schema.fired(&asked) {
            prop_assert!(message.body.is_ascii());
            prop_assert!(crate::forbidden_character(&message.body).is_none());
            prop_assert_eq!(check_body(&message.body), Ok(()));
            let body = super::super::json::json_of(&message.body);
            prop_assert!(body.is_some(), "{}", message.body);
            if link.payload == LinkPayload::Whole && let Some(new) = asked.new {
                let shown = Json::Object(schema.fields_json(new, Clear::No, None));
                prop_assert_eq!(&body.unwrap()["new"], &shown);
            }
            if let Some(key) = message.ordering_key {
                prop_assert!((1..=128).contains(&key.len()) && key.chars().all(|c| c.is_ascii_graphic()), "{}", key);
            }
            prop_assert!(message.notes.iter().all(|note| note.len() < 1000));
        }
    }

    #[test]
    fn what_fires_is_what_each_link_says(old in any_fields(), new in any_fields()) {
        let schema = opinionated();
        let (old, new) = (kept(&schema, old), kept(&schema, new));
        let asked = write(Some(&old), Some(&new));
        let mut fired = schema.fired(&asked).into_iter();
        for link in &schema.table().links {
            match schema.ask(link, &asked) {
                LinkAnswer::Fires(message) => prop_assert_eq!(fired.next(), Some((link, message))),
                LinkAnswer::Silent(silence) => prop_assert!(!silence.to_string().is_empty()),
            }
        }
        prop_assert_eq!(fired.next(), None);
    }

    #[test]
    fn a_field_in_a_hole_is_what_an_answer_shows_of_it(fields in any_fields()) {
        let mut design = every_kind();
        let names = design.fields.iter().filter(|field| !matches!(field.kind, FieldKind::EncryptedText(_)));
        let holes = names.map(|field| (field.api_name.to_string(), Json::from(format!("${{new.{}}}", field.api_name))));
        let template = Json::Object(holes.collect());
        design = linked(design, vec![Link { payload: LinkPayload::Template(template.to_string()), ..link(1) }]);
        let schema = schema(design);
        let new = kept(&schema, fields);
        let message = schema.fired(&write(None, Some(&new))).remove(0).1;
        let mut shown = schema.fields_json(&new, Clear::No, None);
        shown.remove("secret");
        prop_assert_eq!(super::super::json::json_of(&message.body), Some(Json::Object(shown)));
        prop_assert_eq!(message.notes, [""; 0]);
    }

    #[test]
    fn an_equal_save_fires_nothing(fields in any_fields()) {
        let schema = opinionated();
        let old = kept(&schema, fields);
        let new = schema.update(&old, &RawFields::new()).unwrap();
        prop_assert_eq!(schema.fired(&write(Some(&old), Some(&new))), []);
    }

    #[test]
    fn a_template_without_holes_says_what_it_said(template in any_template()) {
        let mut only = link(1);
        only.payload = LinkPayload::Template(template.clone());
        let schema = TableSchema::compile(linked(every_kind(), vec![only]));
        // A name of a handler that is none is refused.
        if let Ok(schema) = schema {
            let new = Values::new();
            let body = &schema.fired(&write(None, Some(&new)))[0].1.body;
            prop_assert_eq!(body, &ascii_json(&without_blanks(&template)));
        }
    }

    #[test]
    fn no_template_or_key_brings_the_designer_down(
        template in prop_oneof![any::<String>(), any_json()],
        text in "(\\$|\\{|\\}|'|\"|\\\\|r|new\\.text|1| |é){0,24}",
        key in "(\\$|\\{|\\}|'|\"|\\\\|r|new\\.text|1| |é){0,24}",
        depth in 0..40_usize,
    ) {
        let inner = serde_json::to_string(&text).unwrap();
        let nested = format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        for (template, depth) in [(template, 0), (nested, depth)] {
            let mut only = link(1);
            only.payload = LinkPayload::Template(template);
            only.ordering_key = Some(key.clone());
            match TableSchema::compile(linked(every_kind(), vec![only])) {
                Ok(schema) => {
                    prop_assert!(depth <= MAX_DEPTH);
                    let new = Values::new();
                    let body = &schema.fired(&write(None, Some(&new)))[0].1.body;
                    prop_assert!(serde_json::from_str::<Json>(body).is_ok(), "{}", body);
                }
                Err(faults) => prop_assert!(faults.0.iter().all(|fault| fault.path.starts_with("links/0/")), "{faults}"),
            }
        }
    }
}
