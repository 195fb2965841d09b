//! What the programs under `functions/` say of themselves: which variables they read, which paths they serve, what they are built
//! with.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use crate::tree;

/// One folder of `functions/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) name: String,
    /// Name of a variable -> whether the program cannot start without it.
    pub(super) variables: BTreeMap<String, bool>,
    /// `POST /api/v1/zstorage/queue`, for programs that answer HTTP.
    pub(super) routes: BTreeSet<String>,
    /// Cargo features of the released program, as its `CargoLambda.toml` names them.
    pub(super) features: Vec<String>,
}

/// Calls of `bootstrap` that read more than the name they are given.
const READERS: &[(&str, &[(&str, bool)])] = &[
    ("Aws::read(", &[("ACCOUNT_ID", true)]),
    (".sealing()", &[("KMS_KEY_ID", true)]),
    (".brokers(", &[("KAFKA_BOOTSTRAP", false), ("KAFKA_LOGIN", false), ("RABBITMQ_URL", false)]),
    ("init_tracing(", &[("LOG_LEVEL", false)]),
];

/// Calls by which a program reads what a shared room asks for, and the file in which that stands.
const ELSEWHERE: &[(&str, &str)] = &[("HandlingSettings::read(", "shared/handling/src/start.rs")];

/// Methods of `bootstrap::Reader` that take a variable's name, and whether it must be there.
const METHODS: &[(&str, bool)] =
    &[("required", true), ("optional", false), ("parsed", false), ("switch", false)];

/// The programs of this repository.
pub(super) fn programs() -> Vec<Program> {
    let read = |name: String| {
        let files = tree::rust_files(&format!("functions/{name}/src"));
        let mut source: String = files.iter().map(|file| tree::shipped(&tree::read(file))).collect();
        for (call, file) in ELSEWHERE {
            if source.contains(call) {
                source.push_str(&tree::shipped(&tree::read(file)));
            }
        }
        Program {
            variables: variables(&source),
            routes: routes(&source),
            features: features(&format!("functions/{name}/CargoLambda.toml")),
            name,
        }
    };
    tree::folders("functions").into_iter().map(read).collect()
}

/// The features that a `CargoLambda.toml` names, in one line; none where there is no such file.
fn features(path: &str) -> Vec<String> {
    let text = if tree::root(path).is_file() { tree::read(path) } else { String::new() };
    let line = text.lines().find_map(|line| line.strip_prefix("features = "));
    line.map(|line| serde_json::from_str(line).expect("a list of texts")).unwrap_or_default()
}

/// Variables that a program reads through `bootstrap`.
fn variables(source: &str) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    for (call, names) in READERS {
        if source.contains(call) {
            found.extend(names.iter().map(|(name, required)| ((*name).to_owned(), *required)));
        }
    }
    for (method, required) in METHODS {
        let call = format!(".{method}");
        let parts: Vec<&str> = source.split(&call).collect();
        for (before, rest) in parts.iter().zip(&parts[1..]) {
            // `reader.optional("X")`, not `fields.optional("x")`: only readers read the environment.
            let is_reader = before.trim_end().ends_with("reader");
            let arguments =
                rest.split_once('(').filter(|(types, _)| types.is_empty() || types.starts_with("::<"));
            if let Some(name) = arguments.and_then(|(_, rest)| literal(rest)).filter(|_| is_reader) {
                found.insert(name.to_owned(), *required);
            }
        }
    }
    found
}

/// Routes of a router: `.route("/queue/{id}", get(..).put(..))`.
fn routes(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in source.split(".route(").skip(1) {
        let call = rest[..closing(rest)].replace("{{", "{").replace("}}", "}"); // as `format!` writes braces
        let path = call.split('"').nth(1).unwrap_or_else(|| panic!("a route names its path: {call}"));
        let path = path.trim_start_matches("{BASE}").trim_start_matches("/api/v1/zstorage");
        for method in ["get", "post", "put", "patch", "delete"] {
            let named = |(at, _): &(usize, &str)| {
                let before = call[..*at].chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
            };
            if call.match_indices(&format!("{method}(")).any(|found| named(&found)) {
                found.insert(anonymous(&format!("{} /api/v1/zstorage{path}", method.to_uppercase())));
            }
        }
    }
    found
}

/// A route with `{}` for each of its parameters: what they are called is each side's own affair.
pub(super) fn anonymous(route: &str) -> String {
    let mut parts = route.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |route, part| route + "{" + &part[part.find('}').unwrap_or(0)..])
}

/// The text between the first quotes, when nothing but white space stands before them.
fn literal(source: &str) -> Option<&str> {
    source.trim_start().strip_prefix('"')?.split('"').next()
}

/// Where the parenthesis that is open at the start is closed.
fn closing(source: &str) -> usize {
    let mut open = 1;
    let step = |c: char| i32::from(c == '(') - i32::from(c == ')');
    let end = source.char_indices().find(|(_, c)| {
        open += step(*c);
        open == 0
    });
    end.map_or(source.len(), |(at, _)| at)
}

#[test]
fn variables_are_found_where_they_are_read() {
    let check = |source: &str, expect: &[(&str, bool)]| {
        let expect: BTreeMap<String, bool> =
            expect.iter().map(|(name, must)| ((*name).to_owned(), *must)).collect();
        assert_eq!(variables(source), expect, "{source}");
    };
    check("let table = reader.required(\"CATALOG_TABLE\");", &[("CATALOG_TABLE", true)]);
    check("reader\n  .parsed::<u64>(\n  \"WORKER_TIMEOUT_SECS\", 10)", &[("WORKER_TIMEOUT_SECS", false)]);
    check("let aws = Aws::read(&mut reader);", &[("ACCOUNT_ID", true)]);
    check("reader.optional_name(\"X\")", &[]);
    check("fields.optional(\"label\")", &[]);
}

#[test]
fn routes_are_found_where_they_are_served() {
    let check = |source: &str, expect: &[&str]| {
        let expect: BTreeSet<String> = expect.iter().map(|route| (*route).to_owned()).collect();
        assert_eq!(routes(source), expect, "{source}");
    };
    check(
        ".route(\"/queue/{id}\", get(read).put(change)).route(\"/key\", axum::routing::post(create))",
        &["GET /api/v1/zstorage/queue/{}", "PUT /api/v1/zstorage/queue/{}", "POST /api/v1/zstorage/key"],
    );
    check(
        ".route(&format!(\"{BASE}/queue/{{id}}/publish\"), post(one))",
        &["POST /api/v1/zstorage/queue/{}/publish"],
    );
    check(
        ".route(&format!(\"{BASE}/health\"), get(|| async { budget(\"x\") }))",
        &["GET /api/v1/zstorage/health"],
    );
}
