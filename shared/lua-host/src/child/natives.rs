//! The functions that the prelude builds a handler's world of.
//!
//! One that can be refused by its arguments answers a value, or nil with a code and a message: the prelude makes a thrown
//! table of those, so that a handler meets one form of error only.

use std::rc::Rc;

use mlua::{Function, Lua, LuaString, MultiValue, Table, Value};

use super::{
    modules, natives_data,
    refusal::{Refusal, answer},
    run::{Pending, is_memory_error, is_out_of_memory, reject},
    vm::{Desk, load},
};
use crate::{
    FailureKind, HandlerError, LogLevel, LogLine,
    convert::{self, ConvertError, Numbers, Problem},
    walls::machine,
    wire::{Answer, Ending},
};

/// What the fields of one log line may come to.
const MAX_FIELDS_BYTES: usize = 8 << 10;

/// A conversion's answer: lack of memory stays what it is.
fn converted<T>(result: Result<T, ConvertError>, code: &'static str) -> mlua::Result<Result<T, Refusal>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(ConvertError { problem: Problem::Lua(error), .. }) => Err(error),
        Err(error) => {
            let code = if matches!(error.problem, Problem::TooLarge(_)) { "output-limit" } else { code };
            Ok(Err(Refusal::new(code, error.to_string())))
        }
    }
}

/// Makes the table that the prelude takes.
pub(super) fn table(lua: &Lua, desk: &Rc<Desk>) -> mlua::Result<Table> {
    let natives = lua.create_table()?;
    let here = || Rc::clone(desk);

    natives.raw_set("null", Value::NULL)?;
    let hold = |_: &Lua, ()| {
        machine::hold();
        Ok(())
    };
    let release = |_: &Lua, ()| {
        machine::release();
        Ok(())
    };
    natives.raw_set("hold", lua.create_function(hold)?)?;
    natives.raw_set("release", lua.create_function(release)?)?;
    natives.raw_set("is_held", lua.create_function(|_, ()| Ok(machine::is_held()))?)?;

    let desk_ = here();
    natives.raw_set("is_test", lua.create_function(move |_, ()| desk_.with(|run| run.job.test))?)?;
    let desk_ = here();
    natives.raw_set("context", lua.create_function(move |lua, ()| context(lua, &desk_))?)?;
    let desk_ = here();
    natives.raw_set("load_handler", lua.create_function(move |lua, ()| load_handler(lua, &desk_))?)?;
    let desk_ = here();
    natives.raw_set("load", lua.create_function(move |lua, name: String| load(lua, &desk_.world, &name))?)?;
    let desk_ = here();
    natives.raw_set(
        "resolve",
        lua.create_function(move |lua, path: String| {
            answer(lua, modules::resolve(lua, &desk_.world, &path))
        })?,
    )?;
    let desk_ = here();
    natives.raw_set("library_names", lua.create_function(move |_, ()| Ok(desk_.world.libraries.clone()))?)?;

    endings(lua, &natives, desk)?;
    door(lua, &natives, desk)?;
    natives_data::add(lua, &natives, desk)?;
    Ok(natives)
}

/// Verdicts, failures and the log.
fn endings(lua: &Lua, natives: &Table, desk: &Rc<Desk>) -> mlua::Result<()> {
    let desk_ = Rc::clone(desk);
    natives.raw_set(
        "verdict",
        lua.create_function(move |_, (kind, argument): (LuaString, Value)| {
            let verdict = match &*kind.as_bytes() {
                b"ack" => Ending::Ack,
                b"retry" => Ending::Retry(number(&argument).map(|seconds| seconds.ceil() as u32)),
                _ => reject(&argument.as_string().map(|text| text.to_string_lossy()).unwrap_or_default()),
            };
            desk_.with(|run| run.give(verdict))
        })?,
    )?;
    let desk_ = Rc::clone(desk);
    natives.raw_set(
        "fail",
        lua.create_function(move |_, (code, message): (String, String)| {
            let kind = match code.as_str() {
                "conversion" => FailureKind::Conversion,
                _ => FailureKind::NotFound,
            };
            desk_.with(|run| run.fail(HandlerError::new(kind, message)))
        })?,
    )?;
    let desk_ = Rc::clone(desk);
    natives.raw_set(
        "threw",
        lua.create_function(
            move |lua, (thrown, message, code, retryable): (Value, LuaString, Option<LuaString>, Option<bool>)| {
                if desk_.with(|run| run.is_failed())? {
                    return Ok(());
                }
                let error = describe(lua, &thrown, &message, code.as_ref(), retryable);
                desk_.with(|run| run.fail(error))
            },
        )?,
    )?;
    natives.raw_set("finish", lua.create_function(|_, ()| Ok(()))?)?;
    let desk_ = Rc::clone(desk);
    natives.raw_set(
        "log",
        lua.create_function(move |_, (level, message, fields): (LuaString, LuaString, Value)| {
            write_log(&desk_, &level, &message, &fields)
        })?,
    )
}

/// The one way out.
fn door(lua: &Lua, natives: &Table, desk: &Rc<Desk>) -> mlua::Result<()> {
    let desk_ = Rc::clone(desk);
    natives.raw_set(
        "begin_call",
        lua.create_function(move |lua, (module, function, arguments): (String, String, Value)| {
            let limit = desk_.world.max_reply_bytes;
            let text = convert::to_json(&desk_.arrays, &arguments, limit, Numbers::SixtyFourBits);
            let text = match converted(text, "bad-argument")? {
                Ok(text) => text,
                Err(refusal) => return answer::<Value>(lua, Err(refusal)),
            };
            desk_.with(|run| run.pending = Some(Pending { module, function, arguments: text }))?;
            answer(lua, Ok(true))
        })?,
    )?;
    let desk_ = Rc::clone(desk);
    natives.raw_set(
        "end_call",
        lua.create_function(move |lua, ()| {
            let reply = desk_.with(|run| run.answer.take())?;
            let (kind, text) = match &reply {
                Some(Answer::Value(text)) => ("value", text.as_str()),
                Some(Answer::Expected(text)) => ("expected", text.as_str()),
                Some(Answer::Thrown(text)) => ("thrown", text.as_str()),
                None => return Err(mlua::Error::runtime("a host call was resumed without its answer")),
            };
            let value = convert::to_lua(lua, &desk_.arrays, text).map_err(|error| match error.problem {
                Problem::Lua(error) => error,
                _ => mlua::Error::runtime(format!("the host's answer {error}")),
            })?;
            // A null as a whole answer is nothing, not a thing.
            Ok((kind, if value == Value::NULL { Value::Nil } else { value }))
        })?,
    )
}

/// `context.message`, `context.config` and `context.secrets`.
fn context(lua: &Lua, desk: &Desk) -> mlua::Result<MultiValue> {
    let (message, body, config, secrets) = desk.with(|run| {
        let job = &mut run.job;
        let take = std::mem::take::<String>;
        (take(&mut job.context), take(&mut job.body), take(&mut job.config), take(&mut job.secrets))
    })?;
    let table = lua.create_table()?;
    let convert = |text: &str, what: &str| match convert::to_lua(lua, &desk.arrays, text) {
        Err(ConvertError { problem: Problem::Lua(error), .. }) => Err(error),
        Err(error) => Ok(Err(Refusal::new("conversion", format!("{what} {error}")))),
        Ok(value) => Ok(Ok(value)),
    };
    let mut parts = Vec::new();
    for (text, what) in [
        (message, "the message's context"),
        (body, "the body"),
        (config, "the config"),
        (secrets, "the secrets"),
    ] {
        match convert(&text, what)? {
            Ok(value) => parts.push(value),
            Err(refusal) => return answer::<Value>(lua, Err(refusal)),
        }
    }
    let [message, body, config, secrets] = parts.try_into().expect("four texts make four values");
    let message = match message {
        Value::Table(message) => message,
        _ => lua.create_table()?,
    };
    message.raw_set("body", body)?;
    table.raw_set("message", message)?;
    table.raw_set("config", config)?;
    table.raw_set("secrets", secrets)?;
    answer(lua, Ok(table))
}

fn load_handler(lua: &Lua, desk: &Desk) -> mlua::Result<MultiValue> {
    let name = desk.with(|run| run.job.handler.clone())?;
    if !desk.world.files.contains_key(&name) || name.starts_with('@') {
        let message = format!("there is no handler {name:?}");
        return answer::<Function>(lua, Err(Refusal::new("not-found", message)));
    }
    answer(lua, Ok(load(lua, &desk.world, &name)?))
}

fn describe(
    lua: &Lua,
    thrown: &Value,
    message: &LuaString,
    code: Option<&LuaString>,
    retryable: Option<bool>,
) -> HandlerError {
    let text = match thrown {
        // The cause without the machine's own traceback, which follows anyway.
        Value::Error(error) => cause(error),
        _ => message.to_string_lossy(),
    };
    if is_out_of_memory(thrown, &text) {
        return HandlerError::new(
            FailureKind::MemoryLimit,
            "the handler wanted more memory than it may have",
        );
    }
    let code = code.map(|code| code.to_string_lossy());
    let kind = match code.as_deref() {
        Some("output-limit") => FailureKind::OutputLimit,
        _ => FailureKind::Threw,
    };
    let traceback = lua.traceback(None, 2).ok().map(|text| of_users(&text.to_string_lossy()));
    let message = without_ours(&text, traceback.as_deref());
    HandlerError { kind, code, message, retryable, traceback }
}

fn cause(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause: inner, .. } => cause(inner),
        error if is_memory_error(error) => "not enough memory".to_owned(),
        error => error.to_string(),
    }
}

/// Only the lines of the bundle's own files say something to who wrote them.
fn of_users(traceback: &str) -> String {
    let ours = |line: &&str| !["@", "[C]", "stack traceback:"].iter().any(|start| line.starts_with(start));
    traceback.lines().map(str::trim).filter(ours).collect::<Vec<_>>().join("\n")
}

/// Places in files of ours (`@prelude:84: `) say nothing to who wrote the handler: its own innermost place stands there instead.
fn without_ours(text: &str, traceback: Option<&str>) -> String {
    let mut rest = text;
    while let Some((place, after)) = rest.strip_prefix('@').and_then(|text| text.split_once(": "))
        && place.rsplit_once(':').is_some_and(|(_, line)| line.parse::<u32>().is_ok())
    {
        rest = after;
    }
    let place = traceback.and_then(|text| text.lines().next()?.split_once(": in function"));
    match place {
        Some((place, _)) if rest.len() < text.len() && !rest.starts_with(place) => format!("{place}: {rest}"),
        _ => rest.to_owned(),
    }
}

fn write_log(desk: &Desk, level: &LuaString, message: &LuaString, fields: &Value) -> mlua::Result<()> {
    let level = match &*level.as_bytes() {
        b"warn" => LogLevel::Warn,
        b"error" => LogLevel::Error,
        _ => LogLevel::Info,
    };
    // Cut before it is copied.
    let bytes = message.as_bytes();
    let kept = &bytes[..bytes.len().min(desk.world.max_log_bytes + 4)];
    let message = String::from_utf8_lossy(kept).into_owned();
    let (fields, fields_bytes) = match fields {
        Value::Nil => (None, 0),
        fields => match convert::to_json(&desk.arrays, fields, MAX_FIELDS_BYTES, Numbers::SixtyFourBits) {
            Ok(text) => (serde_json::from_str(&text).ok(), text.len()),
            Err(ConvertError { problem: Problem::Lua(error), .. }) => return Err(error),
            // A line is not worth a failure.
            Err(error) => {
                let note = error.to_string();
                let length = note.len();
                (Some(serde_json::json!({ "fields-not-kept": note })), length)
            }
        },
    };
    desk.with(|run| run.log.push(LogLine { level, message, fields }, fields_bytes))
}

/// A number, in whichever of its two forms it comes.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Integer(integer) => Some(*integer as f64),
        _ => None,
    }
}
