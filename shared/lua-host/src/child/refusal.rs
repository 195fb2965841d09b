//! How a native function says no.

use mlua::{Lua, MultiValue, Value};

/// Why a native refuses: a code for programs, a sentence for people.
pub(super) struct Refusal {
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { code, message: message.into() }
    }
}

/// A native's answer: the machine's own errors pass through, refusals become values.
pub(super) fn answer<T: mlua::IntoLua>(lua: &Lua, result: Result<T, Refusal>) -> mlua::Result<MultiValue> {
    let values = match result {
        Ok(value) => vec![value.into_lua(lua)?],
        Err(refusal) => vec![
            Value::Nil,
            Value::String(lua.create_string(refusal.code)?),
            Value::String(lua.create_string(&refusal.message)?),
        ],
    };
    Ok(MultiValue::from_vec(values))
}
