//! Our own rules for `template.yaml`, beyond what a linter knows: each is proven by planted faults.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod deployment;
mod rules;
mod sources;
mod stack;

use std::collections::BTreeMap;

use rules::RULES;
use serde_json::Value;
use stack::Stack;

use crate::tree;

fn our_stack() -> Stack {
    let files = std::fs::read_dir(tree::root("infra/aws")).unwrap().map(|file| file.unwrap().file_name());
    let paths = files.map(|file| format!("infra/aws/{}", file.to_str().unwrap()));
    let nested: Vec<_> = paths.map(|path| (path.clone(), tree::read(&path))).collect();
    Stack::new(&tree::read("template.yaml"), &nested, sources::programs())
}

/// Rule -> fault -> pointer -> what is put there.
fn planted() -> BTreeMap<String, BTreeMap<String, BTreeMap<String, Value>>> {
    let faults = stack::plain(serde_yaml_ng::from_str(include_str!("template/faults.yaml")).unwrap());
    serde_json::from_value(faults).unwrap()
}

#[test]
fn the_template_keeps_every_rule() {
    let stack = our_stack();
    let broken = |(rule, find): &(&str, rules::Find)| {
        let faults = find(&stack).into_iter();
        faults.map(|fault| format!("{rule}: {fault}")).collect::<Vec<_>>()
    };
    let faults: Vec<String> = RULES.iter().flat_map(broken).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_planted_fault_turns_its_rule_red() {
    let whole = our_stack();
    let mut unseen = Vec::new();
    for (rule, faults) in planted() {
        let (_, find) =
            RULES.iter().find(|(name, _)| *name == rule).unwrap_or_else(|| panic!("'{rule}' is a rule"));
        let before = find(&whole);
        for (fault, changes) in faults {
            let mut stack = whole.clone();
            for (place, value) in changes {
                stack.plant(&place, value);
            }
            if find(&stack).iter().all(|found| before.contains(found)) {
                unseen.push(format!("'{rule}' does not see: {fault}"));
            }
        }
    }
    assert!(unseen.is_empty(), "{}", unseen.join("\n"));
}

#[test]
fn a_new_folder_without_a_resource_turns_red() {
    let mut stack = our_stack();
    let resend = sources::Program { name: "resend".to_owned(), ..stack.programs[0].clone() };
    stack.programs.push(resend);
    let (_, folders) = RULES.iter().find(|(name, _)| *name == "a folder is a function").unwrap();
    assert!(folders(&stack).contains(&"functions/resend has no resource ResendFunction".to_owned()));
}

#[test]
fn every_rule_has_a_planted_fault() {
    let planted = planted();
    let unproven: Vec<_> =
        RULES.iter().map(|(name, _)| *name).filter(|name| !planted.contains_key(*name)).collect();
    assert!(unproven.is_empty(), "nothing shows that these can turn red: {unproven:?}");
}
