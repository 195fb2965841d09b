use api::{Fields, Given};
use domain::{Faults, Operations, Rule};

use super::name;

/// A rule to be tried on what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trial {
    pub(crate) on: Operations,
    pub(crate) expression: String,
}

/// Reads one rule; all its faults at once.
pub(crate) fn read(mut fields: Fields<'_>) -> Result<Rule, Faults> {
    let rule_name = name(&mut fields, "name");
    let rule_name = fields.required("name", rule_name);
    let on = operations(&mut fields);
    let expression = fields.text("expression");
    let expression = fields.required("expression", expression);
    let message = fields.text("message");
    let message = fields.required("message", message);
    fields.refuse_unknown(&["name", "on", "expression", "message"]);
    fields.faults.into_result()?;
    match (rule_name, expression, message) {
        (Some(name), Some(expression), Some(message)) => Ok(Rule { name, on, expression, message }),
        _ => Err(Faults::none()),
    }
}

impl Trial {
    /// Reads a rule of which only the expression is asked: name and message may be there.
    pub(crate) fn read(mut fields: Fields<'_>) -> Result<Trial, Faults> {
        let on = operations(&mut fields);
        let expression = fields.text("expression");
        let expression = fields.required("expression", expression);
        let _unasked = (name(&mut fields, "name"), fields.text("message"));
        fields.refuse_unknown(&["name", "on", "expression", "message"]);
        fields.faults.into_result()?;
        expression.map(|expression| Trial { on, expression }).ok_or_else(Faults::none)
    }
}

/// `on`: creates and updates unless it says otherwise.
fn operations(fields: &mut Fields<'_>) -> Operations {
    let Given::Is(words) = fields.texts("on") else { return Operations::WRITES };
    let mut on = Operations { create: false, update: false, delete: false };
    for (at, word) in words.iter().enumerate() {
        match word.as_str() {
            "create" => on.create = true,
            "update" => on.update = true,
            "delete" => on.delete = true,
            _ => fields.faults.add(format!("on/{at}"), "value", "'on' lists create, update, delete"),
        }
    }
    if words.is_empty() {
        fields.faults.add("on", "required", "a rule is for create, update or delete");
    }
    on
}
