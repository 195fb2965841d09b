//! Natives that only compute: text search, JSON, encodings, digests, times, random values.

use std::{
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{
    Engine,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, URL_SAFE_NO_PAD},
    },
};
use hmac::{Hmac, Mac};
use mlua::{Lua, LuaString, MultiValue, Table, Value};
use rand::RngCore;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    refusal::{Refusal, answer},
    time,
    vm::Desk,
};
use crate::convert::{self, ConvertError, Numbers, Problem};

/// The characters that make a pattern of a plain text.
const SPECIALS: &[u8] = b"^$*+?.([%-";

pub(super) fn add(lua: &Lua, natives: &Table, desk: &Rc<Desk>) -> mlua::Result<()> {
    natives.raw_set("find", lua.create_function(|_, arguments| Ok(find(arguments)))?)?;
    add_json(lua, natives, desk)?;
    add_bytes(lua, natives)?;
    natives.raw_set("now", lua.create_function(|_, ()| Ok(since_1970()))?)?;
    natives.raw_set("uuid_v4", lua.create_function(|_, ()| Ok(Uuid::new_v4().to_string()))?)?;
    natives.raw_set("uuid_v7", lua.create_function(|_, ()| Ok(Uuid::now_v7().to_string()))?)?;
    natives.raw_set(
        "time_format",
        lua.create_function(|lua, (moment, pattern, zone): (f64, Option<String>, Option<String>)| {
            answer(lua, time::format(moment, pattern.as_deref(), zone.as_deref()))
        })?,
    )?;
    natives.raw_set(
        "time_parse",
        lua.create_function(|lua, (text, pattern, zone): (String, Option<String>, Option<String>)| {
            answer(lua, time::parse(&text, pattern.as_deref(), zone.as_deref()))
        })?,
    )?;
    natives.raw_set(
        "time_add",
        lua.create_function(|lua, (moment, counts, zone): (f64, Vec<f64>, Option<String>)| {
            answer(lua, time::add(moment, &counts, zone.as_deref()))
        })?,
    )
}

fn since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// `string.find` for plain texts, in linear time: first, last, true. Nothing at all where it is a pattern.
fn find(
    (text, pattern, init, plain): (Value, Value, Option<f64>, Option<bool>),
) -> (Option<usize>, Option<usize>, bool) {
    let (Value::String(text), Value::String(pattern)) = (text, pattern) else { return (None, None, false) };
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    if plain != Some(true) && pattern.iter().any(|byte| SPECIALS.contains(byte)) {
        return (None, None, false);
    }
    let init = init.unwrap_or(1.0) as i64;
    let from = if init < 0 { (text.len() as i64 + init).max(0) } else { (init - 1).max(0) } as usize;
    match text.get(from..).and_then(|rest| memchr::memmem::find(rest, &pattern)) {
        Some(at) => (Some(from + at + 1), Some(from + at + pattern.len()), true),
        None => (None, None, true),
    }
}

fn add_json(lua: &Lua, natives: &Table, desk: &Rc<Desk>) -> mlua::Result<()> {
    fn given<T>(result: Result<T, ConvertError>) -> mlua::Result<Result<T, Refusal>> {
        match result {
            Ok(value) => Ok(Ok(value)),
            Err(ConvertError { problem: Problem::Lua(error), .. }) => Err(error),
            Err(error) if matches!(error.problem, Problem::TooLarge(_)) => {
                Ok(Err(Refusal::new("output-limit", error.to_string())))
            }
            Err(error) => Ok(Err(Refusal::new("not-json", error.to_string()))),
        }
    }
    let here = Rc::clone(desk);
    natives.raw_set(
        "json_encode",
        lua.create_function(move |lua, value: Value| {
            let text = convert::to_json(&here.arrays, &value, here.world.max_reply_bytes, Numbers::Exact);
            answer(lua, given(text)?)
        })?,
    )?;
    let here = Rc::clone(desk);
    natives.raw_set(
        "json_decode",
        lua.create_function(move |lua, text: LuaString| {
            let Ok(text) = text.to_str() else {
                return answer::<Value>(lua, Err(Refusal::new("not-json", "the text is not UTF-8")));
            };
            answer(lua, given(convert::to_lua(lua, &here.arrays, &text))?)
        })?,
    )?;
    let here = Rc::clone(desk);
    natives.raw_set(
        "json_array",
        lua.create_function(move |_, list: Table| {
            list.set_metatable(Some(here.arrays.clone()))?;
            Ok(list)
        })?,
    )
}

/// Takes either alphabet after translation, padded or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn add_bytes(lua: &Lua, natives: &Table) -> mlua::Result<()> {
    natives.raw_set(
        "base64_encode",
        lua.create_function(|_, (bytes, url): (LuaString, bool)| {
            let bytes = bytes.as_bytes();
            Ok(if url { URL_SAFE_NO_PAD.encode(&*bytes) } else { STANDARD.encode(&*bytes) })
        })?,
    )?;
    natives.raw_set(
        "base64_decode",
        lua.create_function(|lua, text: LuaString| {
            let standard: Vec<u8> = text
                .as_bytes()
                .iter()
                .map(|byte| match byte {
                    b'-' => b'+',
                    b'_' => b'/',
                    byte => *byte,
                })
                .collect();
            match LENIENT.decode(standard) {
                Ok(bytes) => answer(lua, Ok(lua.create_string(bytes)?)),
                Err(error) => answer::<Value>(lua, Err(Refusal::new("not-base64", error.to_string()))),
            }
        })?,
    )?;
    natives.raw_set("hex_encode", lua.create_function(|_, bytes: LuaString| Ok(hex(&bytes.as_bytes())))?)?;
    natives.raw_set(
        "hex_decode",
        lua.create_function(|lua, text: LuaString| match unhex(&text.as_bytes()) {
            Some(bytes) => answer(lua, Ok(lua.create_string(bytes)?)),
            None => answer::<Value>(lua, Err(Refusal::new("not-hex", "the text is not hexadecimal"))),
        })?,
    )?;
    natives.raw_set(
        "sha256",
        lua.create_function(|_, bytes: LuaString| Ok(hex(&Sha256::digest(&*bytes.as_bytes()))))?,
    )?;
    natives.raw_set(
        "hmac_sha256",
        lua.create_function(|_, (key, bytes): (LuaString, LuaString)| {
            let mut mac =
                Hmac::<Sha256>::new_from_slice(&key.as_bytes()).expect("a key of any length is taken");
            mac.update(&bytes.as_bytes());
            Ok(hex(&mac.finalize().into_bytes()))
        })?,
    )?;
    natives.raw_set(
        "equal",
        lua.create_function(|_, (a, b): (LuaString, LuaString)| {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            let differences = a.iter().zip(b.iter()).fold(0, |seen, (a, b)| seen | (a ^ b));
            Ok(std::hint::black_box(differences) == 0 && a.len() == b.len())
        })?,
    )?;
    natives.raw_set("random_bytes", lua.create_function(random_bytes)?)
}

fn random_bytes(lua: &Lua, count: f64) -> mlua::Result<MultiValue> {
    if !(1.0..=1024.0).contains(&count) {
        return answer::<Value>(lua, Err(Refusal::new("bad-argument", "1 to 1024 bytes can be asked for")));
    }
    let mut bytes = vec![0; count as usize];
    rand::rng().fill_bytes(&mut bytes);
    answer(lua, Ok(lua.create_string(bytes)?))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    let pairs = text.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}
