//! AUTH: section 3.15.

use anyhow::{Context, Result, ensure};

use super::bare::Bare;
use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::{server, unseen};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.15 AUTH",
    statements: STATEMENTS,
    cases: CASES,
};

const WHY: &str =
    "enhanced authentication is not offered (MQTT-4.12.0-1), so the server sends no AUTH";

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.15.1-1",
        "The flags of AUTH are 0; others end the connection.",
    ),
    unseen(
        "MQTT-3.15.2-1",
        "The reason of an AUTH is a listed one.",
        WHY,
    ),
    unseen(
        "MQTT-3.15.2-2",
        "No Reason String makes an AUTH larger than the receiver's maximum.",
        WHY,
    ),
    unseen(
        "MQTT-3.15.2-3",
        "No User Property makes an AUTH larger than the receiver's maximum.",
        WHY,
    ),
];

const CASES: &[Case] = &[case!(auth_flags_are_0, "MQTT-3.15.1-1")];

async fn auth_flags_are_0(stage: Stage) -> Result<()> {
    let method = wire::section(&wire::text(0x15, b"METHOD"));
    for flags in 1..16 {
        for reason in [0x18, 0x19] {
            let body = [&[reason], &*method].concat();
            let mut client = stage.client("client").await?;
            client.send_packet(0xf0 | flags, &body).await?;
            cut(&mut client)
                .await
                .with_context(|| format!("flags {flags:#x}"))?;
        }
    }
    // As the first packet, too.
    let mut bare = Bare::open(&stage).await?;
    bare.send(0xf1, &[&[0x18], &*method].concat()).await?;
    let answers = bare.until_closed().await?;
    ensure!(answers.is_empty(), "{answers:02x?}");
    Ok(())
}
