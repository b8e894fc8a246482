//! Packets that no client library would send.

/// A string or binary value with its length before it.
pub(super) fn counted(value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), value].concat()
}

/// A Variable Byte Integer.
pub(super) fn variable(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = u8::try_from(value % 128).unwrap_or_default();
        value /= 128;
        bytes.push(if value > 0 { byte | 0x80 } else { byte });
        if value == 0 {
            return bytes;
        }
    }
}

/// A string property.
pub(super) fn text(id: u8, value: &[u8]) -> Vec<u8> {
    [&[id], &*counted(value)].concat()
}

/// A user property.
pub(super) fn user(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0x26], &*pair(name, value)].concat()
}

/// The value of a user property.
pub(super) fn pair(name: &[u8], value: &[u8]) -> Vec<u8> {
    [counted(name), counted(value)].concat()
}

/// Properties with their length before them.
pub(super) fn section(properties: &[u8]) -> Vec<u8> {
    [&*variable(properties.len()), properties].concat()
}

/// The body of a CONNECT with these connect flags, properties and payload.
pub(super) fn connect(flags: u8, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    connect_as(b"MQTT", 5, flags, properties, payload)
}

/// The same with another protocol name or version.
pub(super) fn connect_as(
    name: &[u8],
    version: u8,
    flags: u8,
    properties: &[u8],
    payload: &[u8],
) -> Vec<u8> {
    let numbers = [version, flags, 0, 60];
    [&*counted(name), &numbers, &section(properties), payload].concat()
}

/// The Will fields of a CONNECT's payload.
pub(super) fn will(properties: &[u8], topic: &[u8], message: &[u8]) -> Vec<u8> {
    [section(properties), counted(topic), counted(message)].concat()
}

/// The body of a PUBLISH with QoS 1 or 2.
pub(super) fn publish(topic: &[u8], id: u16, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes();
    [&*counted(topic), &id, &section(properties), payload].concat()
}

/// The body of a SUBSCRIBE.
pub(super) fn subscribe(id: u16, properties: &[u8], filters: &[(&[u8], u8)]) -> Vec<u8> {
    let mut body = [&id.to_be_bytes(), &*section(properties)].concat();
    for (filter, options) in filters {
        body.extend(counted(filter));
        body.push(*options);
    }
    body
}

/// The body of an UNSUBSCRIBE.
pub(super) fn unsubscribe(id: u16, properties: &[u8], filters: &[&[u8]]) -> Vec<u8> {
    let mut body = [&id.to_be_bytes(), &*section(properties)].concat();
    body.extend(filters.iter().flat_map(|filter| counted(filter)));
    body
}

/// A whole packet.
pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    [&[first], &*variable(body.len()), body].concat()
}
