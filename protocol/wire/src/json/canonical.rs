use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// Writes the JSON with sorted keys, without white space and with one spelling per string. Numbers
/// keep their digits, because a rounded number could make two contents one.
///
/// Recursion goes as deep as the text, which its callers keep within `MAX_DEPTH`.
pub(crate) fn canonical(json: &str, out: &mut String) -> Result<(), serde_json::Error> {
    let json = json.trim();
    match json.as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
            out.push('{');
            for (index, (key, value)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&serde_json::to_string(key)?);
                out.push(':');
                canonical(value.get(), out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json)?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                canonical(item.get(), out)?;
            }
            out.push(']');
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(json)?;
            out.push_str(&serde_json::to_string(&text)?);
        }
        _ => out.push_str(json),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(json: &str) -> String {
        let mut out = String::new();
        canonical(json, &mut out).unwrap();
        out
    }

    #[test]
    fn order_space_and_escapes_do_not_count() {
        let one = form(r#" { "b" : [1, {"y":2,"x":null}], "a":"\u0041" } "#);
        assert_eq!(one, r#"{"a":"A","b":[1,{"x":null,"y":2}]}"#);
        assert_ne!(form("[1,2]"), form("[2,1]"));
        assert_ne!(
            form("12345678901234567890123"),
            form("12345678901234567890124")
        );
    }
}
