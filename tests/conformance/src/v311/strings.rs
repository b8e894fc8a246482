//! Strings: section 1.5.3.

use anyhow::{Context, Result, ensure};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "1.5.3 Strings",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-1.5.3-1",
        "Strings are well-formed UTF-8 without surrogates; a packet with another ends the connection.",
    ),
    server(
        "MQTT-1.5.3-2",
        "Strings hold no U+0000; a packet with one ends the connection.",
    ),
    server(
        "MQTT-1.5.3-3",
        "EF BB BF is U+FEFF wherever it stands, and is neither skipped nor taken away.",
    ),
];

const CASES: &[Case] = &[
    case!(
        ill_formed_utf8_ends_the_connection,
        "MQTT-1.5.3-1",
        "MQTT-3.1.3-4",
        "MQTT-3.1.3-10",
        "MQTT-3.1.3-11",
        "MQTT-3.3.2-1",
        "MQTT-3.8.3-1",
        "MQTT-3.10.3-1",
    ),
    case!(
        a_null_character_ends_the_connection,
        "MQTT-1.5.3-2",
        "MQTT-4.7.3-2"
    ),
    case!(a_byte_order_mark_is_a_character, "MQTT-1.5.3-3"),
];

/// Sends this as the string of every packet that a client may send a string in.
async fn refused_everywhere(stage: &Stage, text: &[u8]) -> Result<()> {
    let id = stage.client_id("refused");
    let id = id.as_bytes();
    let connects: [(&str, u8, &[&[u8]]); 3] = [
        ("client id", 0x02, &[text]),
        ("will topic", 0x06, &[id, text, b"will"]),
        ("user name", 0x82, &[id, text]),
    ];
    for (what, flags, fields) in connects {
        let mut client = stage.open().await?;
        client
            .send_packet(0x10, &wire::connect(flags, fields))
            .await?;
        cut(&mut client).await.context(what)?;
    }
    let packets = [
        ("PUBLISH", 0x32, wire::publish(text, 1, b"message")),
        ("SUBSCRIBE", 0x82, wire::subscribe(1, text, 0)),
        ("UNSUBSCRIBE", 0xa2, wire::unsubscribe(1, text)),
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
    let plain = stage.topic("name");
    let marked = [stage.topic("\u{feff}name"), stage.topic("na\u{feff}me")];
    let filter = stage.topic("+");
    let mut all = stage.subscriber("all", &[(&filter, 0)]).await?;
    let mut other = stage.subscriber("other", &[(&plain, 0)]).await?;
    let mut publisher = stage.client("publisher").await?;
    for topic in &marked {
        publisher.publish(topic, "message", 0, false).await?;
        let message = all.take(topic).await?;
        ensure!(message.payload == "message", "{message:?}");
    }
    stage.nothing_more(&mut publisher, &mut other).await
}
