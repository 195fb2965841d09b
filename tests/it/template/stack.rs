//! The template as data: short tags (`!Ref`) become their long form, `Globals` are folded in where asked for.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

use super::sources::Program;

/// The template, and what the source tree says about the same things.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    pub(super) text: String,
    pub(super) template: Value,
    /// Templates nested in it, by their path: `infra/aws/msk.yaml`.
    pub(super) nested: BTreeMap<String, Value>,
    pub(super) programs: Vec<Program>,
}

/// One allowed or denied thing of a role.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) sid: String,
    pub(super) actions: Vec<String>,
    pub(super) resources: Vec<Value>,
    pub(super) whole: Value,
}

impl Stack {
    pub(super) fn new(text: &str, nested: &[(String, String)], programs: Vec<Program>) -> Stack {
        let read = |text: &str| plain(serde_yaml_ng::from_str(text).expect("a template is YAML"));
        let nested = nested.iter().map(|(path, text)| (path.clone(), read(text)));
        Stack { text: text.to_owned(), template: read(text), nested: nested.collect(), programs }
    }

    /// What stands at a JSON pointer, `Null` where nothing does.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.template.pointer(pointer).unwrap_or(&Value::Null)
    }

    /// What stands at a JSON pointer of a nested template, `Null` where nothing does.
    pub(super) fn nested_at(&self, path: &str, pointer: &str) -> &Value {
        self.nested.get(path).and_then(|template| template.pointer(pointer)).unwrap_or(&Value::Null)
    }

    /// Ids of all resources of a type, in order.
    pub(super) fn of_type(&self, kind: &str) -> Vec<&str> {
        let resources = entries(self.at("/Resources"));
        resources.filter(|(_, resource)| resource["Type"] == kind).map(|(id, _)| id).collect()
    }

    pub(super) fn functions(&self) -> Vec<&str> {
        self.of_type("AWS::Serverless::Function")
    }

    /// A property of a resource; `path` without the leading slash.
    pub(super) fn property(&self, id: &str, path: &str) -> &Value {
        self.at(&format!("/Resources/{id}/Properties/{path}"))
    }

    /// A property of a function, its own or else that of all functions.
    pub(super) fn setting(&self, function: &str, path: &str) -> &Value {
        match self.property(function, path) {
            Value::Null => self.at(&format!("/Globals/Function/{path}")),
            own => own,
        }
    }

    /// The environment of a function, that of all functions included.
    pub(super) fn variables(&self, function: &str) -> BTreeMap<&str, &Value> {
        let shared = self.at("/Globals/Function/Environment/Variables");
        entries(shared).chain(entries(self.property(function, "Environment/Variables"))).collect()
    }

    /// Names and properties of a function's events of one type.
    pub(super) fn events(&self, function: &str, kind: &str) -> Vec<(&str, &Value)> {
        let events = entries(self.property(function, "Events")).filter(|(_, event)| event["Type"] == kind);
        events.map(|(name, event)| (name, &event["Properties"])).collect()
    }

    /// Every statement of a role, those behind a condition of the stack and those of policies beside it included.
    pub(super) fn statements(&self, role: &str) -> Vec<Statement> {
        let own = list(self.property(role, "Policies")).into_iter();
        let is_given = |id: &&str| list(self.property(id, "Roles")).contains(&&json!({ "Ref": role }));
        let beside = self.of_type("AWS::IAM::Policy").into_iter().filter(is_given);
        let beside = beside.map(|id| self.at(&format!("/Resources/{id}/Properties")));
        let statements = own.chain(beside).flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]));
        statements.flat_map(branches).map(Statement::new).collect()
    }

    /// What a function's role allows.
    pub(super) fn rights(&self, function: &str) -> Vec<Statement> {
        self.of_role(function, |effect| effect != "Deny")
    }

    /// What a function's role forbids.
    pub(super) fn denials(&self, function: &str) -> Vec<Statement> {
        self.of_role(function, |effect| effect == "Deny")
    }

    fn of_role(&self, function: &str, has: fn(&Value) -> bool) -> Vec<Statement> {
        let role = target(self.property(function, "Role"));
        let statements = role.map(|role| self.statements(role)).unwrap_or_default();
        statements.into_iter().filter(|statement| has(&statement.whole["Effect"])).collect()
    }

    /// Plants a fault: `value` at `Id/path` (a property of a resource), at `/path` (from the top), at `Id/path` of a nested
    /// template after its own path and `#`, for `text` as a line of the file, for `features of NAME` as what a program is
    /// built with. `Null` takes away what stands there.
    pub(super) fn plant(&mut self, place: &str, value: Value) {
        if place == "text" {
            self.text.extend(["\n", value.as_str().unwrap()]);
            return;
        }
        if let Some(name) = place.strip_prefix("features of ") {
            let program = self.programs.iter_mut().find(|program| program.name == name).unwrap();
            program.features = serde_json::from_value(value).unwrap();
            return;
        }
        let (template, place) = match place.split_once('#') {
            Some((path, place)) => (self.nested.get_mut(path).unwrap(), place),
            None => (&mut self.template, place),
        };
        let pointer = match place.split_once('/') {
            Some(("", _)) => place.to_owned(),
            Some((id, path)) => format!("/Resources/{id}/Properties/{path}"),
            None => panic!("{place} names a property"),
        };
        Stack::set(template, &pointer, value);
    }

    fn set(template: &mut Value, pointer: &str, value: Value) {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = template.pointer_mut(parent).unwrap_or_else(|| panic!("the template has a {parent}"));
        match parent {
            Value::Object(map) if value.is_null() => {
                map.remove(key).unwrap_or_else(|| panic!("the template has a {pointer}"));
            }
            Value::Object(map) => {
                map.insert(key.to_owned(), value);
            }
            Value::Array(items) if key == "-" => items.push(value),
            Value::Array(items) => items[key.parse::<usize>().unwrap()] = value,
            other => panic!("{pointer} is inside {other}"),
        }
    }
}

impl Statement {
    pub(super) fn new(whole: &Value) -> Statement {
        Statement {
            sid: whole["Sid"].as_str().unwrap_or("(no Sid)").to_owned(),
            actions: list(&whole["Action"])
                .into_iter()
                .filter_map(|action| Some(action.as_str()?.to_owned()))
                .collect(),
            resources: list(&whole["Resource"]).into_iter().cloned().collect(),
            whole: whole.clone(),
        }
    }
}

/// Entries of an object, none of anything else.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// One or many, as IAM writes them.
pub(super) fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// What stands behind an `Fn::If`, both ways; `AWS::NoValue` is nothing.
pub(super) fn branches(value: &Value) -> Vec<&Value> {
    let ways = match value["Fn::If"].as_array() {
        Some(parts) => parts[1..].iter().collect(),
        None => vec![value],
    };
    ways.into_iter().filter(|way| way["Ref"] != "AWS::NoValue").collect()
}

/// The id that a `Ref` or `Fn::GetAtt` points to.
pub(super) fn target(value: &Value) -> Option<&str> {
    value["Ref"].as_str().or_else(|| value["Fn::GetAtt"][0].as_str())
}

/// A text, that of an `Fn::Sub` included.
pub(super) fn text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value["Fn::Sub"].as_str())
}

/// YAML with CloudFormation's tags as plain JSON.
pub(super) fn plain(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => truth.into(),
        Yaml::Number(number) => number.as_i64().map_or_else(|| json!(number.as_f64()), Value::from),
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => items.into_iter().map(plain).collect(),
        Yaml::Mapping(map) => {
            let entry = |(name, value): (Yaml, Yaml)| {
                (name.as_str().unwrap_or_else(|| panic!("{name:?} is quoted")).to_owned(), plain(value))
            };
            Value::Object(map.into_iter().map(entry).collect::<Map<_, _>>())
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            match (name, plain(tagged.value)) {
                ("Ref" | "Condition", value) => json!({ name: value }),
                ("GetAtt", Value::String(path)) => {
                    json!({ "Fn::GetAtt": path.split('.').collect::<Vec<_>>() })
                }
                (name, value) => json!({ format!("Fn::{name}"): value }),
            }
        }
    }
}

#[test]
fn short_tags_mean_their_long_form() {
    let check = |yaml: &str, expect: Value| {
        assert_eq!(plain(serde_yaml_ng::from_str(yaml).unwrap()), expect, "{yaml}")
    };
    check("!Ref Table", json!({"Ref": "Table"}));
    check("!GetAtt Table.Arn", json!({"Fn::GetAtt": ["Table", "Arn"]}));
    check("!Sub \"${AWS::StackName}-x\"", json!({"Fn::Sub": "${AWS::StackName}-x"}));
    check("[!If [A, !Ref B, 3]]", json!([{"Fn::If": ["A", {"Ref": "B"}, 3]}]));
    check("{ a: yes, b: \"10\", c: 10 }", json!({"a": "yes", "b": "10", "c": 10}));
}
