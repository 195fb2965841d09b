//! How Lambda writes what Kafka and RabbitMQ brought: bodies in base64, header values as lists of Java's bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What a field in base64 holds: a text, or bytes that are none. What is no base64, or not even a string, is given as bytes just
/// as it came: nobody can read it, but nobody loses it either.
pub fn unpacked(field: &Value) -> Result<String, Vec<u8>> {
    let Value::String(packed) = field else { return Err(field.to_string().into_bytes()) };
    match STANDARD.decode(packed) {
        Ok(bytes) => String::from_utf8(bytes).map_err(|error| error.into_bytes()),
        Err(_) => Err(packed.clone().into_bytes()),
    }
}

/// The text in a list of bytes, which Java counts from -128 to 127; `None` where it is no such list, or no UTF-8.
pub fn text_of_bytes(list: &Value) -> Option<String> {
    let byte = |value: &Value| {
        let value = value.as_i64()?;
        u8::try_from(value).ok().or_else(|| i8::try_from(value).ok().map(i8::cast_unsigned))
    };
    let bytes: Option<Vec<u8>> = list.as_array()?.iter().map(byte).collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_field_is_text_or_bytes_and_never_lost() {
        let check = |field: Value, expect: Result<&str, &[u8]>| {
            assert_eq!(unpacked(&field), expect.map(str::to_owned).map_err(<[u8]>::to_vec), "{field}");
        };
        check(json!("eyJhIjoxfQ=="), Ok("{\"a\":1}"));
        check(json!(""), Ok(""));
        check(json!("/w=="), Err(&[255]));
        check(json!("eyJhIjoxfQ"), Err(b"eyJhIjoxfQ"));
        check(json!("12345"), Err(b"12345"));
        check(json!(7), Err(b"7"));
        check(json!({"a": [1]}), Err(b"{\"a\":[1]}"));
    }

    #[test]
    fn a_list_of_bytes_is_text_with_either_sign() {
        let check = |list: Value, expect: Option<&str>| {
            assert_eq!(text_of_bytes(&list).as_deref(), expect, "{list}");
        };
        check(json!([104, 105]), Some("hi"));
        check(json!([-61, -87]), Some("é"));
        check(json!([195, 169]), Some("é"));
        check(json!([]), Some(""));
        for none in [json!([255]), json!([256]), json!([-129]), json!([1.5]), json!("hi"), json!(null)] {
            check(none, None);
        }
    }

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(text in ".*") {
            prop_assert_eq!(unpacked(&Value::String(STANDARD.encode(&text))), Ok(text.clone()));
            let java: Vec<i8> = text.bytes().map(u8::cast_signed).collect();
            prop_assert_eq!(text_of_bytes(&json!(java)), Some(text));
        }
    }
}
