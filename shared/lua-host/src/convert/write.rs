//! From Lua values to JSON text, bounded in depth and length.

use mlua::{Table, Value};

use super::{ConvertError, Decimal, MAX_DEPTH, MAX_SAFE_INTEGER, Problem, decimal::plain_integer};

/// What becomes of numbers that a float cannot keep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// They are written as they are.
    Exact,
    /// They must fit 64 bits: what reads the text keeps no more.
    SixtyFourBits,
}

/// Converts one value. Keys are written in their order, so that equal values make equal texts.
pub(crate) fn to_json(
    arrays: &Table,
    value: &Value,
    max_bytes: usize,
    numbers: Numbers,
) -> Result<String, ConvertError> {
    let mut writer = Writer { arrays, max_bytes, numbers, out: String::new() };
    writer.value(value, 0)?;
    Ok(writer.out)
}

struct Writer<'a> {
    arrays: &'a Table,
    max_bytes: usize,
    numbers: Numbers,
    out: String,
}

impl Writer<'_> {
    fn push(&mut self, text: &str) -> Result<(), ConvertError> {
        if self.out.len() + text.len() > self.max_bytes {
            return Err(ConvertError { problem: Problem::TooLarge(self.max_bytes), steps: Vec::new() });
        }
        self.out.push_str(text);
        Ok(())
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), ConvertError> {
        if depth > MAX_DEPTH {
            let message = format!("is nested more than {MAX_DEPTH} levels deep, or contains itself");
            return Err(ConvertError::new(message));
        }
        match value {
            // Only at the top: a table has no nil in it.
            Value::Nil => self.push("null"),
            Value::LightUserData(pointer) if pointer.0.is_null() => self.push("null"),
            Value::Boolean(true) => self.push("true"),
            Value::Boolean(false) => self.push("false"),
            // A whole number read from a table arrives as an integer, but a float it was.
            Value::Integer(integer) => match plain_integer(*integer as f64) {
                Some(text) if integer.unsigned_abs() as f64 > MAX_SAFE_INTEGER => self.push(&text),
                _ => self.push(&integer.to_string()),
            },
            Value::Number(number) => self.number(*number),
            Value::String(text) => {
                let text = text.to_str().map_err(|_| ConvertError::new("is a string that is not UTF-8"))?;
                self.string(&text)
            }
            Value::Table(table) => self.table(table, depth),
            Value::UserData(object) => match object.borrow::<Decimal>() {
                Ok(decimal) => self.decimal(&decimal),
                Err(_) => Err(ConvertError::new("is an object, which JSON has no form for")),
            },
            other => {
                Err(ConvertError::new(format!("is a {}, which JSON has no form for", other.type_name())))
            }
        }
    }

    fn number(&mut self, number: f64) -> Result<(), ConvertError> {
        if !number.is_finite() {
            return Err(ConvertError::new(format!("is {number}, which JSON has no form for")));
        }
        if number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER {
            return self.push(&(number as i64).to_string());
        }
        if let Some(text) = plain_integer(number) {
            return self.push(&text);
        }
        let text = serde_json::to_string(&number).map_err(|error| ConvertError::new(error.to_string()))?;
        self.push(&text)
    }

    fn decimal(&mut self, decimal: &Decimal) -> Result<(), ConvertError> {
        let text = decimal.as_str();
        if self.numbers == Numbers::SixtyFourBits
            && text.parse::<i64>().is_err()
            && text.parse::<u64>().is_err()
        {
            let message = "is a number that would not be kept on its way; pass tostring(value)";
            return Err(ConvertError::new(message));
        }
        self.push(text)
    }

    fn string(&mut self, text: &str) -> Result<(), ConvertError> {
        // Looked at before it is escaped: the copy is not the machine's memory.
        if text.len() > self.max_bytes {
            return Err(ConvertError { problem: Problem::TooLarge(self.max_bytes), steps: Vec::new() });
        }
        let quoted = serde_json::to_string(text).map_err(|error| ConvertError::new(error.to_string()))?;
        self.push(&quoted)
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<(), ConvertError> {
        let length = table.raw_len();
        let marked = table.metatable().is_some_and(|metatable| metatable == *self.arrays);
        if length > 0 || marked {
            return self.array(table, length, depth);
        }
        let mut fields = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            let Value::String(key) = key else {
                return Err(ConvertError::new(not_a_key(&key)));
            };
            let key = key.to_str().map_err(|_| ConvertError::new("has a key that is not UTF-8"))?;
            if fields.len() >= self.max_bytes {
                return Err(ConvertError { problem: Problem::TooLarge(self.max_bytes), steps: Vec::new() });
            }
            fields.push((key.to_owned(), value));
        }
        fields.sort_by(|(a, _), (b, _)| a.cmp(b));
        self.push("{")?;
        for (at, (key, value)) in fields.iter().enumerate() {
            if at > 0 {
                self.push(",")?;
            }
            self.string(key)?;
            self.push(":")?;
            self.value(value, depth + 1).map_err(|error| error.under_key(key))?;
        }
        self.push("}")
    }

    fn array(&mut self, table: &Table, length: usize, depth: usize) -> Result<(), ConvertError> {
        // Each element makes at least one byte, so a table too long to write is not walked.
        if length > self.max_bytes {
            return Err(ConvertError { problem: Problem::TooLarge(self.max_bytes), steps: Vec::new() });
        }
        let mut seen = 0;
        for pair in table.pairs::<Value, Value>() {
            let (key, _) = pair?;
            if !matches!(position(&key), Some(index) if index >= 1 && index <= length) {
                return Err(ConvertError::new(format!("is an array of {length} that also {}", has(&key))));
            }
            seen += 1;
        }
        if seen != length {
            return Err(ConvertError::new(format!("is an array of {length} with gaps")));
        }
        self.push("[")?;
        for index in 1..=length {
            if index > 1 {
                self.push(",")?;
            }
            let value: Value = table.raw_get(index)?;
            self.value(&value, depth + 1).map_err(|error| error.under_index(index))?;
        }
        self.push("]")
    }
}

fn position(key: &Value) -> Option<usize> {
    match key {
        Value::Integer(index) => usize::try_from(*index).ok(),
        Value::Number(index) if index.fract() == 0.0 && *index >= 1.0 && *index <= MAX_SAFE_INTEGER => {
            Some(*index as usize)
        }
        _ => None,
    }
}

fn has(key: &Value) -> String {
    match key {
        Value::String(key) => format!("has the key {:?}", key.to_string_lossy()),
        key => format!("has a {} as key", key.type_name()),
    }
}

fn not_a_key(key: &Value) -> String {
    match key {
        Value::Integer(_) | Value::Number(_) => {
            "is an array with gaps, or an object with a number as key".to_owned()
        }
        key => format!("is an object that {}", has(key)),
    }
}
