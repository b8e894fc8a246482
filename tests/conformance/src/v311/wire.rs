//! Packets that no client library would send.

/// A string or binary value with its length before it.
pub(super) fn counted(value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes(), value].concat()
}

/// The body of a CONNECT with these connect flags and, each with its length, these payload fields.
pub(super) fn connect(flags: u8, fields: &[&[u8]]) -> Vec<u8> {
    connect_as(b"MQTT", 4, flags, fields)
}

/// The same with another protocol name or level.
pub(super) fn connect_as(name: &[u8], level: u8, flags: u8, fields: &[&[u8]]) -> Vec<u8> {
    let mut body = counted(name);
    body.extend_from_slice(&[level, flags, 0, 60]);
    body.extend(fields.iter().flat_map(|field| counted(field)));
    body
}

/// The body of a SUBSCRIBE with one filter.
pub(super) fn subscribe(id: u16, filter: &[u8], qos: u8) -> Vec<u8> {
    [&id.to_be_bytes(), &*counted(filter), &[qos]].concat()
}

/// The body of an UNSUBSCRIBE with one filter.
pub(super) fn unsubscribe(id: u16, filter: &[u8]) -> Vec<u8> {
    [&id.to_be_bytes(), &*counted(filter)].concat()
}

/// The body of a PUBLISH with QoS 1 or 2.
pub(super) fn publish(topic: &[u8], id: u16, payload: &[u8]) -> Vec<u8> {
    [&*counted(topic), &id.to_be_bytes(), payload].concat()
}

/// A whole packet.
pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let byte = u8::try_from(length % 128).unwrap_or_default();
        length /= 128;
        packet.push(if length > 0 { byte | 0x80 } else { byte });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(body);
    packet
}
