//! What each kind of message body must hold, as tables and a check that names the field.

use serde_json::{Map, Value};

use super::MessageType;

/// One field of a body.
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    required: bool,
}

enum Kind {
    Text,
    /// A whole number of any sign: some clients give checksums as signed.
    Integer,
    /// A whole number from 0.
    Count,
    /// Any number.
    Number,
    /// An object of any content.
    Object,
    /// An object with fields of its own.
    Fields(&'static [Field]),
}

const fn need(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
    }
}

const fn may(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
    }
}

const EXTRAS: Field = may("extras", Kind::Object);

const TEXT: &[Field] = &[need("text", Kind::Text), EXTRAS];

const IMAGE: &[Field] = &[
    need("media_id", Kind::Text),
    need("media_crc32", Kind::Integer),
    need("width", Kind::Count),
    need("height", Kind::Count),
    need("fsize", Kind::Count),
    may("format", Kind::Text),
    may("hash", Kind::Text),
    EXTRAS,
];

const VOICE: &[Field] = &[
    need("media_id", Kind::Text),
    need("media_crc32", Kind::Integer),
    need("duration", Kind::Number),
    need("fsize", Kind::Count),
    may("format", Kind::Text),
    may("hash", Kind::Text),
    EXTRAS,
];

const FILE: &[Field] = &[
    need("media_id", Kind::Text),
    need("media_crc32", Kind::Integer),
    need("fsize", Kind::Count),
    need("fname", Kind::Text),
    may("hash", Kind::Text),
    EXTRAS,
];

const VIDEO: &[Field] = &[
    need("video", Kind::Fields(FILE)),
    need("duration", Kind::Number),
    may("thumb", Kind::Fields(IMAGE)),
    EXTRAS,
];

const LOCATION: &[Field] = &[
    need("latitude", Kind::Number),
    need("longitude", Kind::Number),
    need("scale", Kind::Number),
    need("label", Kind::Text),
    EXTRAS,
];

/// The fields of a body of this type; those not listed are passed on unread.
pub(super) const fn of(msg_type: MessageType) -> &'static [Field] {
    match msg_type {
        MessageType::Text => TEXT,
        MessageType::Image => IMAGE,
        MessageType::Voice => VOICE,
        MessageType::File => FILE,
        MessageType::Video => VIDEO,
        MessageType::Location => LOCATION,
        // Any object: JMessage reads nothing in it, not even extras.
        MessageType::Custom => &[],
    }
}

/// Checks an object against its fields; the error names the field under `path`.
pub(super) fn check(
    path: &str,
    object: &Map<String, Value>,
    fields: &[Field],
) -> Result<(), String> {
    for field in fields {
        let name = format!("{path}.{}", field.name);
        match object.get(field.name) {
            None if field.required => return Err(format!("missing field {name}")),
            // Serializers of many clients write null for what isn't there.
            None => {}
            Some(Value::Null) if !field.required => {}
            Some(value) => check_value(&name, value, &field.kind)?,
        }
    }
    Ok(())
}

fn check_value(name: &str, value: &Value, kind: &Kind) -> Result<(), String> {
    let (valid, wanted) = match kind {
        Kind::Text => (value.is_string(), "a string"),
        Kind::Integer => (value.is_i64() || value.is_u64(), "a whole number"),
        Kind::Count => (value.is_u64(), "a whole number from 0"),
        Kind::Number => (value.is_number(), "a number"),
        Kind::Object => (value.is_object(), "an object"),
        Kind::Fields(fields) => {
            return match value.as_object() {
                Some(object) => check(name, object, fields),
                None => Err(format!("{name}: expected an object")),
            };
        }
    };
    if valid {
        Ok(())
    } else {
        Err(format!("{name}: expected {wanted}"))
    }
}
