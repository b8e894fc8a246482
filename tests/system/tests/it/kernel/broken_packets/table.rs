//! The broken packets: a name, the bytes, and the reason of MQTT 5's DISCONNECT.

pub(super) type Broken = (&'static str, &'static [u8], u8);

const MALFORMED: u8 = 0x81;
const PROTOCOL: u8 = 0x82;
const ALIAS: u8 = 0x94;

/// Broken in every version, whether or not properties are read.
pub(super) const V3_AND_V5: &[Broken] = &[
    ("type 0", b"\x00\x00", MALFORMED),
    ("type 15 with flags", b"\xff\x00", MALFORMED),
    ("AUTH", b"\xf0\x00", PROTOCOL),
    ("PINGRESP from a client", b"\xd0\x00", PROTOCOL),
    (
        "length of five bytes",
        b"\x30\xff\xff\xff\xff\x01",
        MALFORMED,
    ),
    ("length above the limit", b"\x30\xff\xff\xff\x7f", 0x95),
    ("PUBACK with flags", b"\x41\x02\x00\x01", MALFORMED),
    ("PUBREC with flags", b"\x51\x02\x00\x01", MALFORMED),
    ("PUBREL without flags", b"\x60\x02\x00\x01", MALFORMED),
    ("PUBREL with other flags", b"\x63\x02\x00\x01", MALFORMED),
    ("PUBCOMP with flags", b"\x72\x02\x00\x01", MALFORMED),
    (
        "SUBSCRIBE without flags",
        b"\x80\x07\x00\x01\x00\x00\x01a\x00",
        MALFORMED,
    ),
    (
        "UNSUBSCRIBE without flags",
        b"\xa0\x06\x00\x01\x00\x00\x01a",
        MALFORMED,
    ),
    ("PINGREQ with flags", b"\xc1\x00", MALFORMED),
    ("PINGREQ with a body", b"\xc0\x01\x00", MALFORMED),
    ("DISCONNECT with flags", b"\xe2\x00", MALFORMED),
    ("PUBLISH without a body", b"\x30\x00", MALFORMED),
    (
        "PUBLISH with half a topic length",
        b"\x30\x01\x00",
        MALFORMED,
    ),
    (
        "PUBLISH with a topic cut short",
        b"\x30\x03\x00\x05a",
        MALFORMED,
    ),
    (
        "PUBLISH at QoS 3",
        b"\x36\x07\x00\x01a\x00\x01\x00x",
        MALFORMED,
    ),
    (
        "PUBLISH with DUP at QoS 0",
        b"\x38\x05\x00\x01a\x00x",
        MALFORMED,
    ),
    (
        "PUBLISH without a packet id",
        b"\x32\x03\x00\x01a",
        MALFORMED,
    ),
    (
        "PUBLISH with half a packet id",
        b"\x34\x04\x00\x01a\x00",
        MALFORMED,
    ),
    (
        "PUBLISH with packet id 0",
        b"\x32\x06\x00\x01a\x00\x00\x00",
        MALFORMED,
    ),
    (
        "PUBLISH topic of broken UTF-8",
        b"\x30\x05\x00\x02\xc3\x28\x00",
        MALFORMED,
    ),
    (
        "PUBLISH topic of overlong UTF-8",
        b"\x30\x05\x00\x02\xc0\x80\x00",
        MALFORMED,
    ),
    (
        "PUBLISH topic with a surrogate",
        b"\x30\x06\x00\x03\xed\xa0\x80\x00",
        MALFORMED,
    ),
    (
        "PUBLISH topic with U+0000",
        b"\x30\x06\x00\x03a\x00b\x00",
        MALFORMED,
    ),
    ("PUBACK without a packet id", b"\x40\x00", MALFORMED),
    ("PUBACK with half a packet id", b"\x40\x01\x00", MALFORMED),
    ("PUBACK with packet id 0", b"\x40\x02\x00\x00", MALFORMED),
    ("PUBREC with packet id 0", b"\x50\x02\x00\x00", MALFORMED),
    ("PUBREL with packet id 0", b"\x62\x02\x00\x00", MALFORMED),
    ("PUBCOMP with packet id 0", b"\x70\x02\x00\x00", MALFORMED),
    ("PUBREL without a packet id", b"\x62\x00", MALFORMED),
    ("SUBSCRIBE without a body", b"\x82\x00", MALFORMED),
    ("UNSUBSCRIBE without a body", b"\xa2\x00", MALFORMED),
];

pub(super) const ONLY_V3: &[Broken] = &[
    ("CONNACK from a client", b"\x20\x02\x00\x00", 0),
    ("SUBACK from a client", b"\x90\x03\x00\x01\x00", 0),
    ("UNSUBACK from a client", b"\xb0\x02\x00\x01", 0),
    (
        "PUBACK with more than a packet id",
        b"\x40\x03\x00\x01\x00",
        0,
    ),
    (
        "PUBREL with more than a packet id",
        b"\x62\x04\x00\x01\x00\x00",
        0,
    ),
    ("PUBLISH without a topic", b"\x30\x02\x00\x00", 0),
    ("DISCONNECT with a body", b"\xe0\x01\x00", 0),
    ("SUBSCRIBE without a filter", b"\x82\x02\x00\x01", 0),
    (
        "SUBSCRIBE with packet id 0",
        b"\x82\x06\x00\x00\x00\x01a\x00",
        0,
    ),
    ("SUBSCRIBE without options", b"\x82\x05\x00\x01\x00\x01a", 0),
    ("SUBSCRIBE at QoS 3", b"\x82\x06\x00\x01\x00\x01a\x03", 0),
    (
        "SUBSCRIBE with options of MQTT 5",
        b"\x82\x06\x00\x01\x00\x01a\x04",
        0,
    ),
    (
        "SUBSCRIBE with a reserved bit",
        b"\x82\x06\x00\x01\x00\x01a\x81",
        0,
    ),
    (
        "SUBSCRIBE with a second filter's reserved bit",
        b"\x82\x0a\x00\x01\x00\x01a\x01\x00\x01b\x41",
        0,
    ),
    (
        "SUBSCRIBE to an empty filter",
        b"\x82\x05\x00\x01\x00\x00\x00",
        0,
    ),
    (
        "SUBSCRIBE to broken UTF-8",
        b"\x82\x06\x00\x01\x00\x01\xff\x00",
        0,
    ),
    (
        "SUBSCRIBE to U+0000",
        b"\x82\x06\x00\x01\x00\x01\x00\x00",
        0,
    ),
    (
        "SUBSCRIBE with a filter cut short",
        b"\x82\x06\x00\x01\x00\x09a\x00",
        0,
    ),
    ("UNSUBSCRIBE without a filter", b"\xa2\x02\x00\x01", 0),
    (
        "UNSUBSCRIBE with packet id 0",
        b"\xa2\x05\x00\x00\x00\x01a",
        0,
    ),
    (
        "UNSUBSCRIBE from an empty filter",
        b"\xa2\x04\x00\x01\x00\x00",
        0,
    ),
    (
        "UNSUBSCRIBE from U+0000",
        b"\xa2\x05\x00\x01\x00\x01\x00",
        0,
    ),
];

pub(super) const ONLY_V5: &[Broken] = &[
    ("CONNACK from a client", b"\x20\x03\x00\x00\x00", PROTOCOL),
    (
        "SUBACK from a client",
        b"\x90\x04\x00\x01\x00\x00",
        PROTOCOL,
    ),
    (
        "UNSUBACK from a client",
        b"\xb0\x04\x00\x01\x00\x00",
        PROTOCOL,
    ),
    (
        "AUTH with a method",
        b"\xf0\x06\x18\x04\x15\x00\x01m",
        PROTOCOL,
    ),
    (
        "AUTH with an unknown reason",
        b"\xf0\x02\x01\x00",
        MALFORMED,
    ),
    (
        "PUBLISH without properties",
        b"\x30\x03\x00\x01a",
        MALFORMED,
    ),
    (
        "PUBLISH with properties cut short",
        b"\x30\x05\x00\x01a\x05\x01",
        MALFORMED,
    ),
    (
        "PUBLISH with a property length of five bytes",
        b"\x30\x08\x00\x01a\xff\xff\xff\xff\x01",
        MALFORMED,
    ),
    (
        "PUBLISH with an unknown property",
        b"\x30\x06\x00\x01a\x02\x7f\x00",
        MALFORMED,
    ),
    (
        "PUBLISH with a property of CONNECT",
        b"\x30\x09\x00\x01a\x05\x11\x00\x00\x00\x01",
        MALFORMED,
    ),
    (
        "PUBLISH with a property twice",
        b"\x30\x0c\x00\x01a\x08\x03\x00\x01t\x03\x00\x01t",
        MALFORMED,
    ),
    (
        "PUBLISH with a format of 2",
        b"\x30\x06\x00\x01a\x02\x01\x02",
        MALFORMED,
    ),
    (
        "PUBLISH with half an expiry",
        b"\x30\x07\x00\x01a\x03\x02\x00\x00",
        MALFORMED,
    ),
    (
        "PUBLISH with topic alias 0",
        b"\x30\x07\x00\x01a\x03\x23\x00\x00",
        ALIAS,
    ),
    (
        "PUBLISH with a subscription identifier",
        b"\x30\x06\x00\x01a\x02\x0b\x05",
        PROTOCOL,
    ),
    (
        "PUBLISH with a user property cut short",
        b"\x30\x08\x00\x01a\x04\x26\x00\x01k",
        MALFORMED,
    ),
    (
        "PUBLISH with U+0000 in a user property",
        b"\x30\x0b\x00\x01a\x07\x26\x00\x01\x00\x00\x01v",
        MALFORMED,
    ),
    (
        "PUBLISH with U+0000 in its content type",
        b"\x30\x08\x00\x01a\x04\x03\x00\x01\x00",
        MALFORMED,
    ),
    (
        "PUBLISH with a content type of broken UTF-8",
        b"\x30\x08\x00\x01a\x04\x03\x00\x01\xff",
        MALFORMED,
    ),
    ("PUBLISH without a topic", b"\x30\x03\x00\x00\x00", PROTOCOL),
    (
        "SUBSCRIBE without a filter",
        b"\x82\x03\x00\x01\x00",
        PROTOCOL,
    ),
    (
        "SUBSCRIBE without properties",
        b"\x82\x02\x00\x01",
        MALFORMED,
    ),
    (
        "SUBSCRIBE with packet id 0",
        b"\x82\x07\x00\x00\x00\x00\x01a\x00",
        MALFORMED,
    ),
    (
        "SUBSCRIBE without options",
        b"\x82\x06\x00\x01\x00\x00\x01a",
        MALFORMED,
    ),
    (
        "SUBSCRIBE at QoS 3",
        b"\x82\x07\x00\x01\x00\x00\x01a\x03",
        MALFORMED,
    ),
    (
        "SUBSCRIBE with retain handling 3",
        b"\x82\x07\x00\x01\x00\x00\x01a\x30",
        MALFORMED,
    ),
    (
        "SUBSCRIBE with a reserved bit",
        b"\x82\x07\x00\x01\x00\x00\x01a\x40",
        MALFORMED,
    ),
    (
        "SUBSCRIBE with subscription identifier 0",
        b"\x82\x09\x00\x01\x02\x0b\x00\x00\x01a\x00",
        PROTOCOL,
    ),
    (
        "SUBSCRIBE with a property of PUBLISH",
        b"\x82\x09\x00\x01\x02\x01\x00\x00\x01a\x00",
        MALFORMED,
    ),
    (
        "SUBSCRIBE to broken UTF-8",
        b"\x82\x07\x00\x01\x00\x00\x01\xff\x00",
        MALFORMED,
    ),
    (
        "SUBSCRIBE to U+0000",
        b"\x82\x07\x00\x01\x00\x00\x01\x00\x00",
        MALFORMED,
    ),
    (
        "UNSUBSCRIBE without a filter",
        b"\xa2\x03\x00\x01\x00",
        PROTOCOL,
    ),
    (
        "UNSUBSCRIBE with packet id 0",
        b"\xa2\x06\x00\x00\x00\x00\x01a",
        MALFORMED,
    ),
    (
        "UNSUBSCRIBE from U+0000",
        b"\xa2\x06\x00\x01\x00\x00\x01\x00",
        MALFORMED,
    ),
    (
        "PUBACK with an unknown reason",
        b"\x40\x03\x00\x01\x01",
        MALFORMED,
    ),
    (
        "PUBACK with an unknown property",
        b"\x40\x06\x00\x01\x00\x02\x7f\x00",
        MALFORMED,
    ),
    (
        "PUBACK with bytes behind its properties",
        b"\x40\x05\x00\x01\x00\x00\x00",
        MALFORMED,
    ),
    (
        "PUBREL with an unknown reason",
        b"\x62\x03\x00\x01\x87",
        MALFORMED,
    ),
    (
        "DISCONNECT with an unknown reason",
        b"\xe0\x01\x01",
        MALFORMED,
    ),
    (
        "DISCONNECT with an unknown property",
        b"\xe0\x04\x00\x02\x7f\x00",
        MALFORMED,
    ),
    (
        "DISCONNECT with properties cut short",
        b"\xe0\x03\x00\x05\x11",
        MALFORMED,
    ),
];
