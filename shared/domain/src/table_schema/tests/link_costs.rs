//! What the links of one table may cost one write.

use std::time::Instant;

use super::*;

fn timed(name: &str, hole: &str, fields: &str) {
    let mut links = Vec::new();
    let quoted = serde_json::to_string(&format!("${{{hole}}}")).unwrap();
    for number in 1..=10 {
        let mut one = link(number);
        one.payload = LinkPayload::Template(format!("[{}]", vec![quoted.clone(); 50].join(",")));
        links.push(one);
    }
    let start = Instant::now();
    let schema = match TableSchema::compile(linked(every_kind(), links)) {
        Ok(schema) => schema,
        Err(faults) => return println!("{name}: refused {faults}"),
    };
    println!("{name}: compiled in {:?}", start.elapsed());
    let values = schema.create(&given(fields), now()).unwrap();
    let start = Instant::now();
    let fired = schema.fired(&write(None, Some(&values)));
    println!("{name}: asked in {:?}, {} {:?}", start.elapsed(), fired.len(), fired[0].1.notes.first());
}

#[test]
fn probe() {
    let area = "a".repeat(250_000);
    let text = format!(r#"{{"area":"{area}"}}"#);
    timed("matches", "new.area.matches('(?:a?){3}[^a]$')", &text);
    timed("matches2", "new.area.matches('(a|aa)*b')", &text);
    timed("matches3", "new.area.matches('[ab]*c')", &text);
    timed(
        "concat",
        "(new.area + new.area + new.area + new.area + new.area + new.area + new.area).size()",
        &text,
    );
    let list = format!(r#"{{"json":[{}],"area":"{}"}}"#, vec![r#""ab""#; 1000].join(","), "a".repeat(16_000));
    timed("exists", "new.json.exists(x, new.area.contains(x))", &list);
    timed("map", "new.json.map(x, x + new.area).size()", &list);
    let large = format!(r#"{{"json":{{"a":1,"l":[{}]}}}}"#, vec!["1"; 150_000].join(","));
    timed("place", "new.json.a", &large);
    timed("size", "new.json.l.size()", &large);
    timed("eq", "new.json == new.json", &large);
    timed("eq2", "[new.json] == [new.json]", &large);
    let wide = format!(
        r#"{{"json":{{"a":1,{}}}}}"#,
        (0..30_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",")
    );
    timed("wide", "new.json.a", &wide);
    timed("wide-eq", "new.json == new.json", &wide);
}
