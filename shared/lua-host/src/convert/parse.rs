//! From JSON text to Lua values, in one pass and without a tree between.

use std::borrow::Cow;

use mlua::{Lua, Table, Value};

use super::{ConvertError, Decimal, MAX_DEPTH, Room, decimal::Number};

/// A number of more digits than this was not meant as one.
const MAX_NUMBER_BYTES: usize = 1 << 10;

/// Converts a whole JSON text; `arrays` becomes the metatable of every array.
pub(crate) fn to_lua(lua: &Lua, arrays: &Table, text: &str) -> Result<Value, ConvertError> {
    let mut parser = Parser { lua, arrays, text, at: 0 };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return Err(parser.error("has something after its end"));
    }
    Ok(value)
}

struct Parser<'a> {
    lua: &'a Lua,
    arrays: &'a Table,
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, message: &str) -> ConvertError {
        ConvertError::new(format!("is not JSON: {message} (byte {})", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes one byte after white space, if it is the next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, ConvertError> {
        if depth > MAX_DEPTH {
            return Err(ConvertError::new(format!("is nested more than {MAX_DEPTH} levels deep")));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => {
                let text = self.string()?;
                Ok(Value::String(self.lua.create_string(text.as_bytes())?))
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::Boolean(true)),
            Some(b'f') => self.word("false", Value::Boolean(false)),
            Some(b'n') => self.word("null", Value::NULL),
            Some(_) => Err(self.error("a value was expected")),
            None => Err(self.error("it ends too early")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, ConvertError> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.error("a value was expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, ConvertError> {
        self.at += 1;
        let table = self.lua.create_table()?;
        if self.take(b'}') {
            return Ok(Value::Table(table));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("a key was expected"));
            }
            let key = self.string()?;
            let name = self.lua.create_string(key.as_bytes())?;
            if !table.raw_get::<Value>(&name)?.is_nil() {
                return Err(ConvertError::new("has this key twice").under_key(&key));
            }
            if !self.take(b':') {
                return Err(self.error("a colon was expected"));
            }
            let value = self.value(depth + 1).map_err(|error| error.under_key(&key))?;
            table.raw_set(name, value)?;
            if self.take(b'}') {
                return Ok(Value::Table(table));
            }
            if !self.take(b',') {
                return Err(self.error("a comma or the object's end was expected"));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, ConvertError> {
        self.at += 1;
        let table = self.lua.create_table()?;
        table.set_metatable(Some(self.arrays.clone()))?;
        if self.take(b']') {
            return Ok(Value::Table(table));
        }
        for index in 1.. {
            let value = self.value(depth + 1).map_err(|error| error.under_index(index))?;
            table.raw_push(value)?;
            if self.take(b']') {
                break;
            }
            if !self.take(b',') {
                return Err(self.error("a comma or the array's end was expected"));
            }
        }
        Ok(Value::Table(table))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, ConvertError> {
        let start = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return Err(self.error("a number has no digits, or a zero too many"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.error("a number ends with its point"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return Err(self.error("a number has no exponent"));
            }
        }
        let text = &self.text[start..self.at];
        if text.len() > MAX_NUMBER_BYTES {
            return Err(ConvertError::new(format!("is a number of more than {MAX_NUMBER_BYTES} characters")));
        }
        match Number::from_json(text) {
            Number::Float(float) => Ok(Value::Number(float)),
            Number::Decimal => {
                let decimal = Decimal::new(text, Room::take(self.lua, text)?);
                Ok(Value::UserData(self.lua.create_userdata(decimal)?))
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, ConvertError> {
        self.at += 1;
        let mut plain_from = self.at;
        let mut unescaped: Option<String> = None;
        let text = self.text;
        loop {
            let rest = &text.as_bytes()[self.at..];
            let Some(length) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else {
                return Err(self.error("a string has no end"));
            };
            self.at += length;
            let plain = &text[plain_from..self.at];
            match rest[length] {
                b'"' => {
                    self.at += 1;
                    return Ok(match unescaped {
                        None => Cow::Borrowed(plain),
                        Some(mut before) => {
                            before.push_str(plain);
                            Cow::Owned(before)
                        }
                    });
                }
                b'\\' => {
                    let before = unescaped.get_or_insert_default();
                    before.push_str(plain);
                    let char = self.escape()?;
                    unescaped.get_or_insert_default().push(char);
                    plain_from = self.at;
                }
                _ => return Err(self.error("a string has a bare control character")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ConvertError> {
        self.at += 1;
        let byte = self.peek().ok_or_else(|| self.error("a string has no end"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.four_hex()?;
                let code = match first {
                    0xd800..=0xdbff if self.text[self.at..].starts_with("\\u") => {
                        self.at += 2;
                        match self.four_hex()? {
                            second @ 0xdc00..=0xdfff => {
                                0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)
                            }
                            _ => return Err(self.error("half a surrogate pair")),
                        }
                    }
                    code => code,
                };
                char::from_u32(code).ok_or_else(|| self.error("half a surrogate pair"))?
            }
            _ => return Err(self.error("an unknown escape")),
        })
    }

    fn four_hex(&mut self) -> Result<u32, ConvertError> {
        let digits = self.text.get(self.at..self.at + 4);
        let code = digits
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.error("an escape needs four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}
