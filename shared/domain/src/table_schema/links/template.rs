//! A payload of one's own: JSON whose strings have holes.

use jiter::{Jiter, JiterError, Peek};
use serde_json::Value as Json;

use super::ascii;
use super::holes::{Filling, Hole, Room, Text};
use crate::{Fault, Faults, HandlerName, ascii_json, check_json, handler_field};

/// The template of a payload has at most this many bytes.
pub const MAX_TEMPLATE_BYTES: usize = 64 * 1024;

/// A template, taken apart: what is always the same is JSON text already, so that a number keeps its digits.
#[derive(Default)]
pub(super) struct Template {
    parts: Vec<Part>,
}

enum Part {
    /// JSON text in ASCII.
    Fixed(String),
    /// A string with holes, and where it stands: `payload/to`.
    Holes(String, Text),
}

impl Template {
    /// Takes `json` apart. `handler`, the link's own, becomes the body's. Faults stand under `path`, which is the link's:
    /// `PATH/payload/to`, `PATH/handler`.
    pub(super) fn compile(
        json: &str,
        handler: Option<&HandlerName>,
        path: &str,
        room: &mut Room<'_>,
        faults: &mut Faults,
    ) -> Template {
        let payload = format!("{path}/payload");
        if json.len() > MAX_TEMPLATE_BYTES {
            let message =
                format!("a payload's template has {} bytes, at most {MAX_TEMPLATE_BYTES}", json.len());
            faults.add(payload, "too-large", message);
            return Template::default();
        }
        if let Err(found) = check_json(json) {
            for fault in found.0 {
                faults.take::<()>(Err(fault.under(&payload)));
            }
            return Template::default();
        }
        check_handler(json, handler, path, faults);
        let mut taking = Taking {
            json: Jiter::new(json.as_bytes()),
            path: vec!["payload".to_owned()],
            link: path,
            handler,
            parts: Vec::new(),
            room,
            faults,
        };
        if taking.document().is_err() {
            // It was JSON a moment ago; where two readers differ, it is refused.
            let message = "this is not JSON of whole characters";
            taking.faults.add(payload, "not-json", message);
        }
        Template { parts: taking.parts }
    }

    /// The body: JSON in ASCII.
    pub(super) fn fill(&self, filling: &mut Filling<'_, '_>) -> String {
        let mut body = String::new();
        for part in &self.parts {
            match part {
                Part::Fixed(json) => body.push_str(json),
                Part::Holes(path, text) => body.push_str(&match text.whole() {
                    Some(hole) => ascii(&filling.json(path, hole)),
                    None => ascii(&text.fill(path, filling)),
                }),
            }
        }
        body
    }

    /// Every hole, with where it stands within the link.
    pub(super) fn holes(&self) -> impl Iterator<Item = (&str, &Hole)> {
        self.parts.iter().flat_map(|part| match part {
            Part::Fixed(_) => Vec::new(),
            Part::Holes(path, text) => text.holes().map(|hole| (path.as_str(), hole)).collect(),
        })
    }
}

/// Whether the link's handler can be named in the body, and whether the one that the template names itself is one.
fn check_handler(json: &str, handler: Option<&HandlerName>, path: &str, faults: &mut Faults) {
    if handler.is_some() && !json.trim_start().starts_with('{') {
        let message = "only a payload that is a JSON object can name a handler";
        faults.add(format!("{path}/handler"), "type", message);
    }
    let named = match handler_field(json) {
        None => return,
        // Known only when it is filled.
        Some(Json::String(name)) if name.contains("${") => return,
        Some(Json::String(name)) => HandlerName::parse(&name).map(drop),
        Some(_) => Err(Fault::new("handler", "type", "the handler's name must be a string")),
    };
    faults.take(named.map_err(|fault| fault.under(&format!("{path}/payload"))));
}

/// A template being taken apart.
struct Taking<'t, 'r> {
    json: Jiter<'t>,
    /// Where we are within the link.
    path: Vec<String>,
    /// Where the link is.
    link: &'t str,
    handler: Option<&'t HandlerName>,
    parts: Vec<Part>,
    room: &'t mut Room<'r>,
    faults: &'t mut Faults,
}

impl Taking<'_, '_> {
    fn document(&mut self) -> Result<(), JiterError> {
        let peek = self.json.peek()?;
        self.value(peek)?;
        self.json.finish()
    }

    fn fixed(&mut self, json: &str) {
        match self.parts.last_mut() {
            Some(Part::Fixed(before)) => before.push_str(json),
            _ => self.parts.push(Part::Fixed(json.to_owned())),
        }
    }

    fn value(&mut self, peek: Peek) -> Result<(), JiterError> {
        match peek {
            Peek::Null => {
                self.json.known_null()?;
                self.fixed("null");
            }
            Peek::True | Peek::False => {
                let is = self.json.known_bool(peek)?;
                self.fixed(if is { "true" } else { "false" });
            }
            Peek::String => self.string()?,
            Peek::Array => self.array()?,
            Peek::Object => self.object()?,
            _ => {
                let digits = self.json.known_number_bytes(peek)?;
                let digits = String::from_utf8_lossy(digits).into_owned();
                self.fixed(&digits);
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), JiterError> {
        let string = self.json.known_str()?.to_owned();
        let path = self.path.join("/");
        match Text::compile(&string, &format!("{}/{path}", self.link), self.room) {
            Ok(text) => match text.fixed() {
                Some(fixed) => self.fixed(&ascii(&fixed)),
                None => self.parts.push(Part::Holes(path, text)),
            },
            Err(fault) => drop(self.faults.take::<()>(Err(fault))),
        }
        Ok(())
    }

    fn array(&mut self) -> Result<(), JiterError> {
        self.fixed("[");
        let mut next = self.json.known_array()?;
        let mut index = 0_usize;
        while let Some(peek) = next {
            if index > 0 {
                self.fixed(",");
            }
            self.path.push(index.to_string());
            self.value(peek)?;
            self.path.pop();
            index += 1;
            next = self.json.array_step()?;
        }
        self.fixed("]");
        Ok(())
    }

    fn object(&mut self) -> Result<(), JiterError> {
        self.fixed("{");
        // The outermost object is met first, and it alone names a handler.
        let handler = self.handler.take();
        if let Some(handler) = handler {
            self.fixed(&format!("\"handler\":{}", ascii(&handler.as_str())));
        }
        let mut first = handler.is_none();
        let mut next = self.json.known_object()?.map(str::to_owned);
        while let Some(key) = next {
            if handler.is_some() && key == "handler" {
                let message = "the payload names a handler itself: leave one of the two out";
                self.faults.add(format!("{}/handler", self.link), "taken", message);
            }
            let comma = if first { "" } else { "," };
            first = false;
            self.fixed(&format!("{comma}{}:", ascii_json(&Json::from(key.as_str()).to_string())));
            self.path.push(key);
            let peek = self.json.peek()?;
            self.value(peek)?;
            self.path.pop();
            next = self.json.next_key()?.map(str::to_owned);
        }
        self.fixed("}");
        Ok(())
    }
}
