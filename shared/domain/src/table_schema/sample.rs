//! Records made up at save, on which every expression is tried, so that one that can never work is refused before it
//! refuses every write.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::TableSchema;
use crate::expression::{EvaluationError, Expression, Scene};
use crate::{
    Decimal, Faults, Field, FieldId, FieldKind, NumberRules, Operation, Operations, Secret, Value, Values,
};

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

/// An expression to be tried.
struct Tried<'t> {
    expression: &'t Expression,
    /// The writes it is for.
    on: Operations,
    /// What it is called.
    what: &'t str,
    /// Where it stands.
    path: String,
}

/// Whether there is an answer for any scene, else why there is none for the first: that sample is as full as any and the plainest.
fn first_answer(
    scenes: Vec<Scene<'_>>,
    ask: impl Fn(&Scene<'_>) -> Result<(), EvaluationError>,
) -> Result<(), EvaluationError> {
    let mut first = Ok(());
    for scene in &scenes {
        match ask(scene) {
            Ok(()) => return Ok(()),
            Err(error) => first = first.and(Err(error)),
        }
    }
    first
}

impl TableSchema {
    /// Tries each formula, rule and link on sample records; what works on none of them is a fault.
    pub(super) fn try_on_samples(&self, faults: &mut Faults) {
        let mut samples: Vec<Values> = SAMPLES.iter().map(|made_of| self.sample(made_of)).collect();
        let unknown = self.unknown_in_shape();
        self.try_formulas(&mut samples, &unknown, faults);
        if faults.is_empty() {
            // Those that test for null before all else are tried where they find it.
            samples.push(Values::new());
            self.try_rules(&samples, &unknown, faults);
            self.try_links(&samples, &unknown, faults);
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
            let tried =
                Tried { expression, on: rule.on, what: "this rule", path: format!("rules/{at}/expression") };
            self.try_expression(&tried, samples, unknown, faults, |scene| expression.holds(scene).map(drop));
        }
    }

    /// Asks every link's condition and fills its holes, for each kind of write it is for.
    fn try_links(&self, samples: &[Values], unknown: &BTreeSet<FieldId>, faults: &mut Faults) {
        for (at, (link, compiled)) in self.table.links.iter().zip(&self.links).enumerate() {
            if let Some(expression) = compiled.condition() {
                let path = format!("links/{at}/condition");
                let tried = Tried { expression, on: link.on, what: "this condition", path };
                self.try_expression(&tried, samples, unknown, faults, |scene| {
                    expression.holds(scene).map(drop)
                });
            }
            for (place, hole) in compiled.holes() {
                let expression = hole.expression();
                let path = format!("links/{at}/{place}");
                let tried = Tried { expression, on: link.on, what: &hole.told(), path };
                self.try_expression(&tried, samples, unknown, faults, |scene| {
                    expression.value(scene).map(drop)
                });
            }
        }
    }

    /// Whether an expression has an answer for any sample of each kind of write, else why not. What reads fields of unknown
    /// shape is not tried.
    fn try_expression(
        &self,
        tried: &Tried<'_>,
        samples: &[Values],
        unknown: &BTreeSet<FieldId>,
        faults: &mut Faults,
        ask: impl Fn(&Scene<'_>) -> Result<(), EvaluationError>,
    ) {
        if !tried.expression.fields().is_disjoint(unknown) {
            return;
        }
        for operation in [Operation::Create, Operation::Update, Operation::Delete] {
            if tried.on.contains(operation)
                && let Err(reason) = first_answer(self.scenes(operation, samples), &ask)
            {
                let hint = match operation {
                    Operation::Create => " (on create, old is null)",
                    Operation::Delete => " (on delete, new is null)",
                    Operation::Update => "",
                };
                let (what, operation) = (tried.what, operation.as_str());
                let message = format!("{what} fails on every sample {operation}: {reason}{hint}");
                faults.add(tried.path.as_str(), "expression", message);
            }
        }
    }

    /// The samples as such writes see them.
    fn scenes<'s>(&'s self, operation: Operation, samples: &'s [Values]) -> Vec<Scene<'s>> {
        let table = &self.table;
        match operation {
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
        }
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
