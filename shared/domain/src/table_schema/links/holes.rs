//! Texts with holes: `Dear ${new.name}`. A hole is CEL over `old` and `new`; `$${` is `${` itself.

use cel::IdedExpr;
use cel::common::ast::Expr;
use jiter::Jiter;
use serde_json::Value as Json;

use super::super::json::json_of;
use super::super::{TableSchema, roomy};
use super::Asked;
use crate::expression::{Effort, EvaluationError, Expression, Names, ResultKind, Side, Slot};
use crate::{Fault, FieldId, MAX_BODY_BYTES, Table, Value, Values};

/// The payload and the ordering key of one link have at most this many holes together.
pub const MAX_LINK_HOLES: usize = 50;

/// Of a hole's text this much is told in a note, bytes.
const MAX_TOLD_BYTES: usize = 80;

/// Of where a hole stands this much is told in a note, bytes.
const MAX_TOLD_PATH_BYTES: usize = 240;

/// What holes may still take while they are compiled.
pub(super) struct Room<'r> {
    pub(super) table: &'r Table,
    /// For compiled patterns, bytes.
    pub(super) patterns: &'r mut usize,
    /// How many more there may be.
    pub(super) holes: usize,
}

/// A text with holes, compiled.
pub(super) struct Text(Vec<Piece>);

enum Piece {
    Fixed(String),
    Hole(Hole),
}

/// A hole, compiled.
pub(in super::super) struct Hole {
    expression: Expression,
    place: Option<Place>,
}

/// What a hole is that computes nothing: a field, or a place within one that holds JSON. It shows what is there as an answer
/// of the API would.
struct Place {
    side: Side,
    field: FieldId,
    /// From the outermost key to the innermost.
    keys: Vec<String>,
}

impl Text {
    /// Takes `text` apart; the fault's path is `path`.
    pub(super) fn compile(text: &str, path: &str, room: &mut Room<'_>) -> Result<Text, Fault> {
        let mut pieces = Vec::new();
        let mut fixed = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            fixed.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("$${") {
                fixed.push_str("${");
                rest = after;
            } else if let Some(after) = rest.strip_prefix("${") {
                let Some(end) = end_of_hole(after) else {
                    let message =
                        "this hole is never closed: a '}' is missing; say $${ for the characters themselves";
                    return Err(Fault::new(path, "hole", message));
                };
                if !fixed.is_empty() {
                    pieces.push(Piece::Fixed(std::mem::take(&mut fixed)));
                }
                pieces.push(Piece::Hole(Hole::compile(&after[..end], path, room)?));
                rest = &after[end + 1..];
            } else {
                fixed.push('$');
                rest = &rest[1..];
            }
        }
        fixed.push_str(rest);
        if !fixed.is_empty() {
            pieces.push(Piece::Fixed(fixed));
        }
        Ok(Text(pieces))
    }

    /// The text, if it has no holes.
    pub(super) fn fixed(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Fixed(text)] => Some(text),
            _ => None,
        }
    }

    /// The hole that is all there is.
    pub(super) fn whole(&self) -> Option<&Hole> {
        match self.0.as_slice() {
            [Piece::Hole(hole)] => Some(hole),
            _ => None,
        }
    }

    pub(super) fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Fixed(_) => None,
            Piece::Hole(hole) => Some(hole),
        })
    }

    /// The text with what its holes give; null gives nothing.
    pub(super) fn fill(&self, path: &str, filling: &mut Filling<'_, '_>) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Fixed(fixed) => text.push_str(fixed),
                Piece::Hole(hole) => match filling.json(path, hole) {
                    Json::Null => {}
                    Json::String(given) => text.push_str(&given),
                    other => text.push_str(&other.to_string()),
                },
            }
        }
        text
    }
}

/// Where the `}` stands that closes a hole whose expression begins with `text`. Brackets within and texts in quotes are passed
/// over; what is no expression is left to the compiler to refuse.
fn end_of_hole(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            b'"' | b'\'' => at = end_of_quote(bytes, at)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Where the text in quotes ends that begins at `start`. With `r` before it a backslash is a character like others.
fn end_of_quote(bytes: &[u8], start: usize) -> Option<usize> {
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let raw = matches!(bytes[..start], [.., b'r' | b'R'])
        && !start.checked_sub(2).is_some_and(|before| is_word(&bytes[before]));
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if !raw => at += 1,
            byte if byte == bytes[start] => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

impl Hole {
    fn compile(text: &str, path: &str, room: &mut Room<'_>) -> Result<Hole, Fault> {
        room.holes = room.holes.checked_sub(1).ok_or_else(|| {
            Fault::new(path, "too-many", format!("a link has at most {MAX_LINK_HOLES} holes"))
        })?;
        let compiled = Expression::compile(text, Names::OldAndNew, room.table);
        let expression = roomy(compiled, room.patterns, path.to_owned())
            .map_err(|fault| Fault { message: format!("in {}: {}", told(text), fault.message), ..fault })?;
        if let kind @ (ResultKind::Double | ResultKind::Other) = expression.result() {
            let message = format!(
                "{} gives {kind}; a hole gives a text, a number, a date-time, true or false",
                told(text)
            );
            return Err(Fault::new(path, "expression", message));
        }
        let place = Place::of(&expression);
        Ok(Hole { expression, place })
    }

    pub(in super::super) fn expression(&self) -> &Expression {
        &self.expression
    }

    /// As it is written, cut where it is long.
    pub(in super::super) fn told(&self) -> String {
        told(self.expression.text())
    }
}

fn told(expression: &str) -> String {
    let cut = &expression[..expression.floor_char_boundary(MAX_TOLD_BYTES)];
    let more = if cut.len() < expression.len() { "..." } else { "" };
    format!("${{{cut}{more}}}")
}

impl Place {
    fn of(expression: &Expression) -> Option<Place> {
        fn walk(node: &IdedExpr, slots: &[Slot]) -> Option<Place> {
            match &node.expr {
                Expr::Ident(name) => {
                    let slot = slots.get(name.strip_prefix("@v")?.parse::<usize>().ok()?)?;
                    let Slot::Field(side, field) = slot else { return None };
                    Some(Place { side: *side, field: *field, keys: Vec::new() })
                }
                Expr::Select(select) if !select.test => {
                    let mut place = walk(&select.operand, slots)?;
                    place.keys.push(select.field.clone());
                    Some(place)
                }
                _ => None,
            }
        }
        walk(expression.tree(), expression.slots())
    }

    /// What is there. `None` where there is no such record or key: the expression says why.
    fn json(&self, schema: &TableSchema, record: Option<&Values>) -> Option<Json> {
        let field = schema.table().field_by_id(self.field)?;
        match (record?.get(&self.field), self.keys.as_slice()) {
            (None, []) => Some(Json::Null),
            (Some(value), []) => Some(schema.value_json(field, value)),
            (Some(Value::Json(text)), keys) => within(text, keys),
            _ => None,
        }
    }
}

/// What stands under `keys` in a JSON text. What stands elsewhere is passed over, not read: a text of a record's size may be
/// looked into from hundreds of holes.
fn within(text: &str, keys: &[String]) -> Option<Json> {
    let mut json = Jiter::new(text.as_bytes());
    for key in keys {
        let mut name = json.next_object().ok()?;
        while name? != key {
            json.next_skip().ok()?;
            name = json.next_key().ok()?;
        }
    }
    let start = json.current_index();
    json.next_skip().ok()?;
    json_of(text.get(start..json.current_index())?)
}

/// The holes of one message being filled.
pub(super) struct Filling<'f, 's> {
    asked: &'f Asked<'s>,
    effort: &'f Effort,
    pub(super) notes: &'f mut Vec<String>,
    /// What the values may still take, bytes. With more of them no queue would take the message.
    room: usize,
    full: bool,
}

impl<'f, 's> Filling<'f, 's> {
    pub(super) fn new(
        asked: &'f Asked<'s>,
        effort: &'f Effort,
        notes: &'f mut Vec<String>,
    ) -> Filling<'f, 's> {
        Filling { asked, effort, notes, room: MAX_BODY_BYTES, full: false }
    }

    /// What `hole` gives. What cannot be computed is null, and a note says why; `path` is where it stands.
    pub(super) fn json(&mut self, path: &str, hole: &Hole) -> Json {
        if self.full {
            return Json::Null;
        }
        match self.compute(hole) {
            Ok(json) => {
                self.take(path, &json);
                json
            }
            Err(error) => {
                let path = &path[..path.floor_char_boundary(MAX_TOLD_PATH_BYTES)];
                self.notes.push(format!("{path}: {} could not be computed: {error}", hole.told()));
                Json::Null
            }
        }
    }

    fn compute(&self, hole: &Hole) -> Result<Json, EvaluationError> {
        let Asked { schema, scene, seen, .. } = self.asked;
        hole.expression.spare(scene, self.effort)?;
        let record = |place: &Place| match place.side {
            Side::Old => scene.old,
            Side::New => scene.new,
        };
        if let Some(json) = hole.place.as_ref().and_then(|place| place.json(schema, record(place))) {
            return Ok(json);
        }
        Ok(match hole.expression.value_having_seen(scene, seen)? {
            None => Json::Null,
            Some(Value::Text(text)) => Json::from(text),
            Some(Value::Integer(number)) => Json::from(number),
            Some(Value::Decimal(number)) => Json::from(number.to_string()),
            Some(Value::Boolean(is)) => Json::from(is),
            Some(Value::DateTime(at)) => Json::from(at.to_string()),
            Some(Value::Lookup(id)) => Json::from(id.to_string()),
            Some(Value::Json(text)) => json_of(&text).unwrap_or_else(|| Json::from(text)),
            // No expression gives it; if one did, it would stay masked.
            Some(Value::Encrypted(_)) => Json::Null,
        })
    }

    /// Notes what `json` takes. Where more is filled in than any queue takes, the message is refused whatever else is in it: the
    /// holes that follow are not computed, so that fifty of them do not make a body of fifty records.
    fn take(&mut self, path: &str, json: &Json) {
        let bytes = match json {
            Json::String(text) => text.len(),
            Json::Array(_) | Json::Object(_) => json.to_string().len(),
            Json::Null | Json::Bool(_) | Json::Number(_) => 1,
        };
        match self.room.checked_sub(bytes) {
            Some(left) => self.room = left,
            None => {
                self.full = true;
                self.notes.push(format!("{path}: the message is larger here than any queue takes"));
            }
        }
    }
}
