//! What links may take of the time of one write.

use super::*;

/// What two links with fifty of this hole each say to the creation of a record of `fields`: how many of each are filled, and the
/// notes of the first link.
fn filled(hole: &str, fields: &str) -> (Vec<usize>, Vec<String>) {
    let hole = serde_json::to_string(&format!("${{{hole}}}")).unwrap();
    let template = format!("[{}]", vec![hole; 50].join(","));
    let links =
        [1, 2].map(|number| Link { payload: LinkPayload::Template(template.clone()), ..link(number) });
    let schema = schema(linked(every_kind(), links.into()));
    let values = schema.create(&given(fields), now()).unwrap();
    let mut fired = schema.fired(&write(None, Some(&values)));
    let count = |body: &str| json(body).as_array().unwrap().iter().filter(|it| !it.is_null()).count();
    let counts = fired.iter().map(|(_, message)| count(&message.body)).collect();
    (counts, fired.remove(0).1.notes)
}

#[test]
fn the_holes_of_a_link_look_at_so_much_together_and_take_nothing_from_other_links() {
    let list = format!(r#"{{"json":[{}],"area":"{}"}}"#, [r#""b""#; 1000].join(","), "a".repeat(16_000));
    let (counts, notes) = filled("new.json.exists(x, new.area.contains(x))", &list);
    assert_eq!(counts, [4, 4], "each of these takes as long as one may");
    assert_eq!(
        (notes.len(), notes[0].as_str()),
        (
            46,
            "payload/4: ${new.json.exists(x, new.area.contains(x))} could not be computed: it and those before it look at \
             more of the record than there is time for"
        )
    );
    let long = format!(r#"{{"area":"{}"}}"#, "a".repeat(250_000));
    let (counts, _) = filled("new.area.matches('[ab]*c')", &long);
    assert_eq!(counts, [4, 4]);
}

#[test]
fn every_hole_may_look_into_a_record_as_large_as_any() {
    let members: Vec<String> = (0..30_000).map(|n| format!(r#""k{n}":{n}"#)).collect();
    let large = format!(r#"{{"json":{{{},"z":{{"a":[7]}}}},"text":"x"}}"#, members.join(","));
    for hole in ["new.json.k0", "new.json.z.a", "new.json.size()", "new.text", "new.json.z.a[0] + 1.0"] {
        assert_eq!(filled(hole, &large), (vec![50, 50], vec![]), "{hole}");
    }
    let short = format!(r#"{{"json":[{}],"text":"{}"}}"#, [r#""b""#; 1000].join(","), "a".repeat(1000));
    assert_eq!(filled("new.json.exists(x, x == new.text)", &short), (vec![50, 50], vec![]));
}
