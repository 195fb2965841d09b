//! CBOR to JSON values: the present CloudWatch SDK speaks Smithy RPC v2, and reading its few questions as JSON keeps one
//! way of reading requests in this room.

use aws_smithy_cbor::Decoder;
use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use serde_json::{Map, Value};

/// Deeper values are refused: nothing CloudWatch is asked nests this far.
const MAX_DEPTH: u32 = 32;

/// Reads one value. Timestamps become epoch seconds; what JSON does not know becomes null.
pub(super) fn read(bytes: &[u8]) -> Result<Value, DeserializeError> {
    value(&mut Decoder::new(bytes), MAX_DEPTH)
}

fn value(decoder: &mut Decoder<'_>, depth: u32) -> Result<Value, DeserializeError> {
    let Some(below) = depth.checked_sub(1) else {
        return Err(DeserializeError::custom("the value is nested too deeply", decoder.position()));
    };
    Ok(match decoder.datatype()? {
        Type::Bool => decoder.boolean()?.into(),
        Type::U8
        | Type::U16
        | Type::U32
        | Type::U64
        | Type::I8
        | Type::I16
        | Type::I32
        | Type::I64
        | Type::Int => decoder.long()?.into(),
        Type::F16 | Type::F32 | Type::F64 => decoder.double()?.into(),
        Type::String | Type::StringIndef => decoder.string()?.into(),
        Type::Tag => decoder.timestamp()?.as_secs_f64().into(),
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.list()?;
            let mut items = Vec::new();
            while another(decoder, &mut left)? {
                items.push(value(decoder, below)?);
            }
            items.into()
        }
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map()?;
            let mut fields = Map::new();
            while another(decoder, &mut left)? {
                let name = decoder.string()?;
                fields.insert(name, value(decoder, below)?);
            }
            fields.into()
        }
        _ => {
            decoder.skip()?;
            Value::Null
        }
    })
}

/// Whether one more element follows: by count where there is one, else until the break.
fn another(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, DeserializeError> {
    match left {
        Some(0) => Ok(false),
        Some(left) => {
            *left -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => decoder.skip().map(|()| false),
        None => Ok(true),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use aws_smithy_cbor::Encoder;
    use aws_smithy_types::DateTime;
    use serde_json::json;

    #[test]
    fn what_a_client_writes_is_read() {
        let mut encoder = Encoder::new(Vec::new());
        encoder.begin_map();
        encoder.str("list").array(2).integer(-3).str("é");
        encoder.str("open").begin_array().boolean(true).null().end();
        encoder.str("at").timestamp(&DateTime::from_secs(1_700_000_000));
        encoder.str("half").double(0.5);
        encoder.str("map").map(0);
        encoder.end();
        let expect = json!({"list": [-3, "é"], "open": [true, null], "at": 1.7e9, "half": 0.5, "map": {}});
        assert_eq!(read(&encoder.into_writer()).unwrap(), expect);
    }

    #[test]
    fn damaged_and_bottomless_bytes_are_errors() {
        for bytes in [
            &b""[..],
            b"\xa1",
            b"\xbf\x61a",
            b"\x9f",
            &[0x81; 100_000],
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(read(bytes).is_err(), "{:?}...", &bytes[..bytes.len().min(9)]);
        }
    }
}
