//! Imports go down only, never sideways: functions -> flows -> skills -> domain. Read from the manifests, by the
//! standard library alone, so that the rule cannot be bent by what it watches.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use crate::tree;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Floor {
    Domain,
    Skill,
    Flow,
    Function,
}

/// The crates of `shared/` and their floors. A room that is not here has no place yet.
const SHARED: &[(&str, Floor)] = &[
    ("api", Floor::Flow),
    ("delivery", Floor::Flow),
    ("handling", Floor::Flow),
    ("bootstrap", Floor::Skill),
    ("egress", Floor::Skill),
    ("lua-host", Floor::Skill),
    ("queue", Floor::Skill),
    ("worker", Floor::Skill),
    ("zstorage", Floor::Skill),
    ("domain", Floor::Domain),
];

/// Folders that stand outside the floors: they may import anything of ours, and nothing of ours imports them.
const OUTSIDE: &[&str] = &["infra/local", "tests"];

/// The one folder whose package has another name: the program is called after the product.
const OTHER_NAMES: &[(&str, &str)] = &[("infra/local", "queuelink")];

/// Crates with a home: whoever else imports one has moved a duty into the wrong room. A `*` ends a prefix.
const HOMES: &[(&str, &[&str])] = &[
    ("aws-sdk-cloudwatch", &["bootstrap", "queue"]),
    ("aws-sdk-dynamodb", &["bootstrap", "zstorage"]),
    ("aws-sdk-dynamodbstreams", &[]),
    ("aws-sdk-kms", &["bootstrap", "zstorage"]),
    ("aws-sdk-lambda", &["bootstrap", "queue"]),
    ("aws-sdk-sqs", &["queue"]),
    ("aws-*", &["bootstrap", "queue", "zstorage"]),
    ("argon2", &["handling"]),
    ("axum", &["api", "publish", "queue-admin", "zstorage-read", "zstorage-schema", "zstorage-write"]),
    ("lambda_http", &["api", "publish", "queue-admin", "zstorage-read", "zstorage-schema", "zstorage-write"]),
    ("lapin", &["queue"]),
    ("lettre", &["egress"]),
    ("mlua", &["lua-host"]),
    ("rdkafka", &["queue"]),
    ("reqwest", &["egress"]),
    ("seccompiler", &["lua-host"]),
];

/// What the domain never needs: it does no I/O and waits for nothing.
const NOT_IN_DOMAIN: &[&str] = &["aws-*", "axum", "futures", "http", "reqwest", "tokio", "tracing"];

/// What a manifest says that matters here.
#[derive(Debug, Clone, Default)]
struct Manifest {
    folder: String,
    package: String,
    imports: Vec<String>,
    dev_imports: Vec<String>,
    build_imports: Vec<String>,
    keeps_lints: bool,
}

impl Manifest {
    /// Enough TOML for manifests as we write them: one key a line, tables by header.
    fn read(folder: &str, toml: &str) -> Manifest {
        let mut manifest = Manifest { folder: folder.to_owned(), ..Manifest::default() };
        let mut table = String::new();
        for line in toml.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_matches(['[', ']']).to_owned();
                if let Some((kind, name)) = table.rsplit_once("dependencies.") {
                    manifest.import(kind, name.trim_matches('"'));
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim()))
            else {
                continue;
            };
            match table.as_str() {
                "package" if key == "name" => manifest.package = value.trim_matches('"').to_owned(),
                "lints" if key == "workspace" => manifest.keeps_lints = value == "true",
                table if table.ends_with("dependencies") => {
                    let name = key.split('.').next().unwrap_or(key).trim_matches('"');
                    let renamed = value.split("package = \"").nth(1).and_then(|rest| rest.split('"').next());
                    manifest.import(table, renamed.unwrap_or(name));
                }
                _ => {}
            }
        }
        manifest
    }

    fn import(&mut self, kind: &str, name: &str) {
        let list = match kind {
            kind if kind.contains("dev-") => &mut self.dev_imports,
            kind if kind.contains("build-") => &mut self.build_imports,
            _ => &mut self.imports,
        };
        list.push(name.to_owned());
    }

    fn floor(&self) -> Option<Floor> {
        if self.folder.starts_with("functions/") {
            return Some(Floor::Function);
        }
        SHARED.iter().find(|(name, _)| self.folder == format!("shared/{name}")).map(|(_, floor)| *floor)
    }

    fn is_outside(&self) -> bool {
        OUTSIDE.contains(&self.folder.as_str())
    }

    fn faults(&self, house: &[Manifest]) -> Vec<String> {
        let Manifest { folder, package, .. } = self;
        let mut faults = Vec::new();
        let name = OTHER_NAMES.iter().find(|(other, _)| other == folder).map(|(_, name)| *name);
        if name.unwrap_or(folder.rsplit('/').next().unwrap_or(folder)) != package {
            faults.push(format!("{folder}: its package is called {package}"));
        }
        if !self.keeps_lints {
            faults.push(format!("{folder}: does not keep the lints of the workspace"));
        }
        if self.is_outside() {
            return faults;
        }
        let Some(floor) = self.floor() else {
            faults.push(format!("{folder}: stands on no floor; give it one in tests/it/layering.rs"));
            return faults;
        };
        for import in self.imports.iter().chain(&self.dev_imports) {
            let Some(room) = house.iter().find(|room| room.package == *import && room.folder != *folder)
            else {
                continue;
            };
            match room.floor() {
                _ if room.is_outside() => {
                    faults.push(format!("{folder}: imports {import}, which nothing may import"))
                }
                Some(other) if other > floor => {
                    faults.push(format!("{folder}: imports {import}, which is above it"))
                }
                Some(other) if other == floor => {
                    faults.push(format!("{folder}: imports {import}, which is beside it"))
                }
                _ => {}
            }
        }
        // For the machine that builds: with C++ in it `sam build` fails, see ARCHITECTURE.md.
        for import in &self.build_imports {
            faults
                .push(format!("{folder}: has a build script with {import}, which `sam build` may not link"));
        }
        for import in &self.imports {
            let at_home =
                |(name, homes): &(&str, &[&str])| !matches(name, import) || homes.contains(&package.as_str());
            let homes: Vec<_> = HOMES.iter().filter(|(name, _)| matches(name, import)).collect();
            if homes.first().is_some_and(|home| !at_home(home)) {
                faults.push(format!("{folder}: imports {import}, whose place is in {:?}", homes[0].1));
            }
            if floor == Floor::Domain && NOT_IN_DOMAIN.iter().any(|name| matches(name, import)) {
                faults.push(format!(
                    "{folder}: imports {import}, but the domain does no I/O and waits for nothing"
                ));
            }
        }
        faults
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |prefix| name.starts_with(prefix))
}

fn house_faults(house: &[Manifest]) -> Vec<String> {
    house.iter().flat_map(|manifest| manifest.faults(house)).collect()
}

/// Where a file of the environment's only reader may be; tests may say what their processes start with.
fn reads_the_environment(path: &str, source: &str) -> bool {
    let words = ["env::var", "env::set_var", "env::remove_var", "env::{var", "option_env!"];
    let tests = path.starts_with("tests/") || path.contains("/tests/") || path.contains("/benches/");
    let exempt = path.starts_with("shared/bootstrap/") || tests;
    !exempt && words.iter().any(|word| tree::shipped(source).contains(word))
}

fn our_house() -> Vec<Manifest> {
    let mut folders: Vec<String> = OUTSIDE.iter().map(|folder| (*folder).to_owned()).collect();
    for parent in ["functions", "shared"] {
        folders.extend(tree::folders(parent).into_iter().map(|name| format!("{parent}/{name}")));
    }
    folders
        .iter()
        .map(|folder| Manifest::read(folder, &tree::read(&format!("{folder}/Cargo.toml"))))
        .collect()
}

fn our_sources() -> Vec<String> {
    ["functions", "shared", "infra/local", "tests"].into_iter().flat_map(tree::rust_files).collect()
}

#[test]
fn imports_go_down_only_and_every_crate_is_in_its_room() {
    let faults = house_faults(&our_house());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_room_of_the_list_exists() {
    let house = our_house();
    let missing: Vec<_> =
        SHARED.iter().filter(|(name, _)| !house.iter().any(|room| room.package == *name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_environment_is_read_in_bootstrap_only() {
    let readers: Vec<_> =
        our_sources().into_iter().filter(|path| reads_the_environment(path, &tree::read(path))).collect();
    assert!(readers.is_empty(), "these read the environment themselves: {readers:?}");
}

/// A report, not a rule: long files are a reason to look for a second topic in them.
#[test]
fn long_rooms_are_reported() {
    for path in our_sources() {
        let lines = tree::read(&path).lines().count();
        if lines > 400 {
            println!("{path}: {lines} lines");
        }
    }
}

#[test]
fn a_planted_import_is_caught() {
    let check = |folder: &str, dependency: &str, expect: &str| {
        let mut house = our_house();
        let room = house.iter_mut().find(|room| room.folder == folder).unwrap();
        let planted =
            format!("[package]\nname = \"{}\"\n{dependency}\n[lints]\nworkspace = true", room.package);
        *room = Manifest::read(folder, &planted);
        let faults = house_faults(&house);
        assert!(
            faults.iter().any(|fault| fault.contains(expect)),
            "{folder} with {dependency:?} gives {faults:?}"
        );
    };
    check(
        "shared/queue",
        "[dependencies]\nzstorage.workspace = true",
        "imports zstorage, which is beside it",
    );
    check(
        "shared/queue",
        "[dependencies]\nstore = { package = \"zstorage\", path = \"../zstorage\" }",
        "imports zstorage",
    );
    check(
        "shared/queue",
        "[dependencies.zstorage]\nworkspace = true",
        "imports zstorage, which is beside it",
    );
    check(
        "shared/queue",
        "[dev-dependencies]\nzstorage.workspace = true",
        "imports zstorage, which is beside it",
    );
    check(
        "shared/queue",
        "[target.'cfg(unix)'.dependencies]\nworker.workspace = true",
        "imports worker, which is beside it",
    );
    check(
        "shared/domain",
        "[dependencies]\nworker = { workspace = true }",
        "imports worker, which is above it",
    );
    check("shared/domain", "[dependencies]\ntokio.workspace = true", "the domain does no I/O");
    check(
        "shared/delivery",
        "[dependencies]\nhandling.workspace = true",
        "imports handling, which is beside it",
    );
    check("shared/api", "[dependencies]\npublish.workspace = true", "imports publish, which is above it");
    check(
        "functions/publish",
        "[dependencies]\nqueue-admin.workspace = true",
        "imports queue-admin, which is beside it",
    );
    check(
        "functions/publish",
        "[dependencies]\nqueuelink.workspace = true",
        "imports queuelink, which nothing may import",
    );
    check(
        "functions/publish",
        "[dependencies]\naws-sdk-sqs.workspace = true",
        "imports aws-sdk-sqs, whose place is in",
    );
    check("shared/zstorage", "[dependencies]\naxum.workspace = true", "imports axum, whose place is in");
    check("shared/lua-host", "[build-dependencies]\nmlua.workspace = true", "has a build script with mlua");
    check(
        "shared/zstorage",
        "[dependencies]\naws-sdk-sqs.workspace = true",
        "imports aws-sdk-sqs, whose place is in",
    );
}

#[test]
fn a_planted_room_is_caught() {
    let check = |folder: &str, toml: &str, expect: &str| {
        let mut house = our_house();
        house.push(Manifest::read(folder, toml));
        let faults = house_faults(&house);
        assert!(faults.iter().any(|fault| fault.contains(expect)), "{folder} gives {faults:?}");
    };
    check("shared/common", "[package]\nname = \"common\"", "stands on no floor");
    check("functions/resend", "[package]\nname = \"sender\"", "its package is called sender");
    check("functions/resend", "[package]\nname = \"resend\"", "does not keep the lints");
}

#[test]
fn a_planted_reader_of_the_environment_is_caught() {
    let check = |path: &str, source: &str, expect: bool| {
        assert_eq!(reads_the_environment(path, source), expect, "{source}")
    };
    check("shared/queue/src/lib.rs", "let region = std::env::var(\"AWS_REGION\");", true);
    check("functions/publish/src/main.rs", "for (name, _) in env::vars_os() {}", true);
    check("infra/local/src/lib.rs", "use std::env::{var, args};", true);
    check("shared/queue/src/lib.rs", "// std::env::var is for bootstrap", false);
    check("shared/queue/src/lib.rs", "let args = std::env::args();", false);
    check(
        "shared/queue/src/lib.rs",
        "fn send() {}\n#[cfg(test)]\nmod tests { fn f() { std::env::var(\"X\"); } }",
        false,
    );
    check("shared/bootstrap/src/environment.rs", "std::env::vars_os()", false);
    check("tests/it/bootstraps.rs", "std::env::var_os(\"QUEUELINK_BOOTSTRAPS\")", false);
}
