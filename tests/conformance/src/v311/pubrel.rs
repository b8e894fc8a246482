//! PUBREL: section 3.6.

use anyhow::{Context, Result};

use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.6 PUBREL",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[server(
    "MQTT-3.6.1-1",
    "The flags of PUBREL are 0010; others end the connection.",
)];

const CASES: &[Case] = &[case!(pubrel_flags_are_0010, "MQTT-3.6.1-1")];

async fn pubrel_flags_are_0010(stage: Stage) -> Result<()> {
    let topic = stage.topic("topic");
    for flags in (0..16).filter(|flags| *flags != 2) {
        let mut client = stage.client("client").await?;
        // A message waits for it, so that nothing else is wrong.
        let id = client.publish(&topic, "message", 2, false).await?;
        client.acked(5, id).await?;
        client.send_packet(0x60 | flags, &id.to_be_bytes()).await?;
        cut(&mut client)
            .await
            .with_context(|| format!("flags {flags:04b}"))?;
    }
    Ok(())
}
