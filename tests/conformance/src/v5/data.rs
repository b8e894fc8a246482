//! Data representation: section 1.5.

use anyhow::{Context, Result, ensure};

use super::bare::Bare;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "1.5 Data representation",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-1.5.4-1",
        "Strings are well-formed UTF-8, without surrogates.",
    ),
    server("MQTT-1.5.4-2", "Strings hold no U+0000."),
    server(
        "MQTT-1.5.4-3",
        "EF BB BF is U+FEFF wherever it stands, and is neither skipped nor taken away.",
    ),
    server(
        "MQTT-1.5.5-1",
        "A Variable Byte Integer has no more bytes than its value needs.",
    ),
    server(
        "MQTT-1.5.7-1",
        "Both halves of a string pair obey the rules for strings.",
    ),
];

const CASES: &[Case] = &[
    case!(ill_formed_utf8_ends_the_connection, "MQTT-1.5.4-1"),
    case!(a_null_character_ends_the_connection, "MQTT-1.5.4-2"),
    case!(a_byte_order_mark_is_a_character, "MQTT-1.5.4-3"),
    case!(lengths_are_as_short_as_can_be, "MQTT-1.5.5-1"),
    case!(string_pairs_are_well_formed, "MQTT-1.5.7-1"),
];

/// Packets with this as one of the strings that a client may send in any of them.
async fn refused_everywhere(stage: &Stage, text: &[u8]) -> Result<()> {
    let id = wire::counted(stage.client_id("refused").as_bytes());
    let string = wire::counted(text);
    let response = wire::text(0x08, text);
    let connects = [
        ("client id", 0x02, vec![], string.clone()),
        (
            "will topic",
            0x06,
            vec![],
            [id.clone(), wire::will(&[], text, b"will")].concat(),
        ),
        (
            "content type of the will",
            0x06,
            vec![],
            [id.clone(), wire::will(&wire::text(0x03, text), b"a", b"")].concat(),
        ),
        ("user name", 0x82, vec![], [id.clone(), string].concat()),
        (
            "authentication method",
            0x02,
            wire::text(0x15, text),
            id.clone(),
        ),
    ];
    for (what, flags, properties, payload) in connects {
        let mut bare = Bare::open(stage).await?;
        bare.send(0x10, &wire::connect(flags, &properties, &payload))
            .await?;
        for packet in bare.until_closed().await.context(what)? {
            let refusal = packet.first == 0x20 && packet.body.get(1) >= Some(&0x80);
            ensure!(refusal, "{what}: {packet:02x?}");
        }
    }
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    let packets = [
        ("PUBLISH", 0x32, wire::publish(text, 1, &[], b"message")),
        (
            "response topic",
            0x32,
            wire::publish(topic, 1, &response, b"message"),
        ),
        (
            "content type",
            0x32,
            wire::publish(topic, 1, &wire::text(0x03, text), b"message"),
        ),
        ("SUBSCRIBE", 0x82, wire::subscribe(1, &[], &[(text, 0)])),
        ("UNSUBSCRIBE", 0xa2, wire::unsubscribe(1, &[], &[text])),
        (
            "reason string",
            0xe0,
            [&[0x04], &*wire::section(&wire::text(0x1f, text))].concat(),
        ),
    ];
    for (what, first, body) in packets {
        let mut client = stage.client("refused").await?;
        client.send_packet(first, &body).await?;
        cut(&mut client).await.context(what)?;
    }
    Ok(())
}

async fn ill_formed_utf8_ends_the_connection(stage: Stage) -> Result<()> {
    let ill_formed: [&[u8]; 6] = [
        b"stray continuation \x80",
        b"cut short \xe2\x82",
        b"overlong \xc0\xaf",
        b"surrogate \xed\xa0\x80",
        b"beyond Unicode \xf4\x90\x80\x80",
        b"no UTF-8 at all \xff",
    ];
    for text in ill_formed {
        refused_everywhere(&stage, text)
            .await
            .with_context(|| String::from_utf8_lossy(text).into_owned())?;
    }
    Ok(())
}

async fn a_null_character_ends_the_connection(stage: Stage) -> Result<()> {
    for text in [&b"in the \0 middle"[..], b"\0first", b"last\0"] {
        refused_everywhere(&stage, text).await?;
    }
    Ok(())
}

async fn a_byte_order_mark_is_a_character(stage: Stage) -> Result<()> {
    let plain = stage.topic("a/name");
    let marked = [stage.topic("a/\u{feff}name"), stage.topic("a/na\u{feff}me")];
    let filter = stage.topic("a/+");
    let mut all = stage.subscriber("all", &[(&filter, 0)]).await?;
    let mut other = stage.subscriber("other", &[(&plain, 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    let kind = wire::counted("\u{feff}text".as_bytes());
    for topic in &marked {
        let properties = [(0x03, kind.clone().into())];
        publisher
            .send_publish(0, topic, b"message", 0, false, false, &properties)
            .await?;
        let message = all.take(topic).await?;
        let content_type = message.properties.text(0x03);
        ensure!(
            content_type.as_deref() == Some("\u{feff}text"),
            "{message:?}"
        );
    }
    stage.nothing_more(&mut publisher, &mut other).await
}

/// The reader of [`Bare`] refuses longer ones; these are at the borders of one, two and three bytes.
async fn lengths_are_as_short_as_can_be(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let (mut bare, _) = Bare::connected(&stage, "client", &[]).await?;
    let subscribe = wire::subscribe(1, &[], &[(topic.as_bytes(), 0)]);
    bare.send(0x82, &subscribe).await?;
    let suback = bare.next().await?.context("closed")?;
    ensure!(suback.first == 0x90, "{suback:02x?}");
    let header = wire::counted(topic.as_bytes()).len() + 1;
    for length in [100_usize, 126, 127, 128, 129, 16_383, 16_384, 16_385] {
        let payload = vec![b'x'; length - header];
        let body = [&*wire::counted(topic.as_bytes()), &[0], &payload].concat();
        bare.send(0x30, &body).await?;
        let message = bare.next().await?.context("closed")?;
        ensure!(message.body == body, "{length} bytes come back changed");
    }
    Ok(())
}

async fn string_pairs_are_well_formed(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    let topic = topic.as_bytes();
    for bad in [
        &b"ill-formed \xff"[..],
        b"surrogate \xed\xa0\x80",
        b"nul \0",
    ] {
        for pair in [wire::user(bad, b"value"), wire::user(b"name", bad)] {
            let packets = [
                ("PUBLISH", 0x32, wire::publish(topic, 1, &pair, b"message")),
                ("SUBSCRIBE", 0x82, wire::subscribe(1, &pair, &[(topic, 0)])),
                ("UNSUBSCRIBE", 0xa2, wire::unsubscribe(1, &pair, &[topic])),
            ];
            for (what, first, body) in packets {
                let mut client = stage.client("client").await?;
                client.send_packet(first, &body).await?;
                cut(&mut client).await.context(what)?;
            }
        }
    }
    Ok(())
}
