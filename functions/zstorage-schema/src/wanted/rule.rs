use api::Fields;
use domain::{Faults, Operations, Rule};

use super::{name, operations};

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
    let on = operations(&mut fields).value().unwrap_or(Operations::WRITES);
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
        let on = operations(&mut fields).value().unwrap_or(Operations::WRITES);
        let expression = fields.text("expression");
        let expression = fields.required("expression", expression);
        let _unasked = (name(&mut fields, "name"), fields.text("message"));
        fields.refuse_unknown(&["name", "on", "expression", "message"]);
        fields.faults.into_result()?;
        expression.map(|expression| Trial { on, expression }).ok_or_else(Faults::none)
    }
}
