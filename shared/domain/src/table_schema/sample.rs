//! Records made up at save, on which every expression is tried, so that one that can never work is refused before it
//! refuses every write.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::TableSchema;
use crate::expression::{EvaluationError, Expression, Scene};
use crate::{Decimal, Faults, Field, FieldId, FieldKind, NumberRules, Operation, Secret, Value, Values};

/// What a sample is made of. Expressions turn texts into numbers, moments and spans of time, and divide by and into numbers and
/// their differences; each finds a sample that it can work with.
struct MadeOf {
    text: &'static str,
    /// The number of the first field, and how much more that of each further field is.
    number: (i64, i64),
}

const SAMPLES: [MadeOf; 5] = [
    MadeOf { text: "1", number: (1, 0) },
    MadeOf { text: "2024-02-29T12:00:00Z", number: (10, 10) },
    MadeOf { text: "2024-02-29", number: (2, 1) },
    MadeOf { text: "1s", number: (0, 0) },
    MadeOf { text: "a@example.com", number: (5040, 5040) },
];

impl TableSchema {
    /// Tries each formula and rule on sample records; what works on none of them is a fault.
    pub(super) fn try_on_samples(&self, faults: &mut Faults) {
        let mut samples: Vec<Values> = SAMPLES.iter().map(|made_of| self.sample(made_of)).collect();
        let unknown = self.unknown_in_shape();
        self.try_formulas(&mut samples, &unknown, faults);
        if faults.is_empty() {
            // Those that test for null before all else are tried where they find it.
            samples.push(Values::new());
            self.try_rules(&samples, &unknown, faults);
        }
    }

    /// Computes the formulas of all samples, in order.
    fn try_formulas(&self, samples: &mut [Values], unknown: &BTreeSet<FieldId>, faults: &mut Faults) {
        for formula in self.formulas.iter().filter(|formula| !unknown.contains(&formula.id)) {
            let mut failed = Vec::new();
            for values in samples.iter_mut() {
                match formula.compute(&self.table, values) {
                    Ok(Some(value)) => drop(values.insert(formula.id, value)),
                    Ok(None) => {}
                    Err(reason) => failed.push(reason),
                }
            }
            if let Some(reason) = failed.first().filter(|_| failed.len() == samples.len()) {
                let path = format!("fields/{}/expression", formula.place);
                faults.add(
                    path,
                    "expression",
                    format!("this formula fails on every sample record: {reason}"),
                );
            }
        }
    }

    /// Asks every rule about the samples, for each kind of write it is for.
    fn try_rules(&self, samples: &[Values], unknown: &BTreeSet<FieldId>, faults: &mut Faults) {
        for (at, (rule, expression)) in self.table.rules.iter().zip(&self.rules).enumerate() {
            if !expression.fields().is_disjoint(unknown) {
                continue;
            }
            for operation in [Operation::Create, Operation::Update, Operation::Delete] {
                if rule.on.contains(operation)
                    && let Err(reason) = self.try_rule(expression, operation, samples)
                {
                    let hint = match operation {
                        Operation::Create => " (on create, old is null)",
                        Operation::Delete => " (on delete, new is null)",
                        Operation::Update => "",
                    };
                    let message =
                        format!("this rule fails on every sample {}: {reason}{hint}", operation.as_str());
                    faults.add(format!("rules/{at}/expression"), "expression", message);
                }
            }
        }
    }

    /// Whether a rule has an answer for any sample, else why not.
    fn try_rule(
        &self,
        rule: &Expression,
        operation: Operation,
        samples: &[Values],
    ) -> Result<(), EvaluationError> {
        let table = &self.table;
        let scenes: Vec<Scene<'_>> = match operation {
            Operation::Create => {
                samples.iter().map(|new| Scene { table, old: None, new: Some(new) }).collect()
            }
            Operation::Delete => {
                samples.iter().map(|old| Scene { table, old: Some(old), new: None }).collect()
            }
            Operation::Update => (samples.iter())
                .flat_map(|old| {
                    samples.iter().map(move |new| Scene { table, old: Some(old), new: Some(new) })
                })
                .collect(),
        };
        let mut first = Ok(());
        for scene in &scenes {
            match rule.holds(scene) {
                Ok(_) => return Ok(()),
                // The first sample is as full as any and the plainest: its reason is the one to tell.
                Err(error) => first = first.and(Err(error)),
            }
        }
        first
    }

    /// Fields whose shape no sample can guess: JSON, and formulas that look into it. What reads them is tried by real records
    /// alone.
    fn unknown_in_shape(&self) -> BTreeSet<FieldId> {
        let json = self.table.fields.iter().filter(|field| matches!(field.kind, FieldKind::Json));
        let mut unknown: BTreeSet<FieldId> = json.map(|field| field.id).collect();
        for formula in &self.formulas {
            if !formula.expression.fields().is_disjoint(&unknown) {
                unknown.insert(formula.id);
            }
        }
        unknown
    }

    /// A record with a value in every field but JSON and the formulas.
    fn sample(&self, made_of: &MadeOf) -> Values {
        let (first, step) = made_of.number;
        let numbers = (0..).map(|place: i64| first + step * place);
        let fields = self.table.fields.iter().zip(numbers);
        fields
            .filter_map(|(field, number)| Some((field.id, sample_value(field, made_of.text, number)?)))
            .collect()
    }
}

fn sample_value(field: &Field, text: &str, number: i64) -> Option<Value> {
    Some(match &field.kind {
        FieldKind::Text(_) | FieldKind::TextArea(_) => Value::Text(text.to_owned()),
        FieldKind::Email(_) => Value::Text("a@example.com".to_owned()),
        FieldKind::Url(_) => Value::Text("https://example.com/".to_owned()),
        FieldKind::EncryptedText(_) => Value::Encrypted(Secret::new(text)),
        FieldKind::Picklist { values } => Value::Text(values.first()?.clone()),
        FieldKind::Integer { min, max } => {
            Value::Integer(number.max(min.unwrap_or(i64::MIN)).min(max.unwrap_or(i64::MAX)))
        }
        FieldKind::Decimal(rules) | FieldKind::Currency(rules) => {
            Value::Decimal(sample_decimal(rules, number))
        }
        FieldKind::Boolean => Value::Boolean(true),
        FieldKind::DateTime => Value::DateTime(Timestamp::constant(1_709_208_000, 0)),
        FieldKind::Lookup { table } => Value::Lookup(format!("{table}0{}", ulid::Ulid::nil()).parse().ok()?),
        FieldKind::Json | FieldKind::Formula { .. } => return None,
    })
}

fn sample_decimal(rules: &NumberRules, number: i64) -> Decimal {
    let number = Decimal::from(number);
    match (&rules.min, &rules.max) {
        (Some(min), _) if number < *min => min.clone(),
        (_, Some(max)) if number > *max => max.clone(),
        _ => number,
    }
}
