//! SUBACK: section 3.9.

use anyhow::{Result, ensure};
use partyline_testkit::Packet;

use super::wire;
use crate::case::case;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.9 SUBACK",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server("MQTT-3.9.3-1", "The codes are in the order of the filters."),
    server("MQTT-3.9.3-2", "No codes but 00, 01, 02 and 80 are used."),
];

const CASES: &[Case] = &[
    case!(codes_are_in_the_order_of_the_filters, "MQTT-3.9.3-1"),
    case!(reserved_codes_are_not_used, "MQTT-3.9.3-2"),
];

async fn codes_are_in_the_order_of_the_filters(stage: Stage) -> Result<()> {
    let topics: Vec<_> = (0..6).map(|n| stage.topic(&format!("{n}"))).collect();
    for asked in [[2, 0, 1, 1, 2, 0], [0, 0, 0, 1, 1, 2], [2, 2, 1, 0, 0, 0]] {
        let mut client = stage.client("client").await?;
        let filters: Vec<_> = topics.iter().map(|topic| &**topic).zip(asked).collect();
        let codes = client.subscribe(&filters).await?;
        ensure!(codes == asked, "asked for {asked:?}, granted {codes:02x?}");
    }
    Ok(())
}

/// Filters that a broker may find good, forbid or not serve; the client refuses other codes.
async fn reserved_codes_are_not_used(stage: Stage) -> Result<()> {
    let long = "x/".repeat(30_000);
    let filters = [
        "#",
        "+/+",
        "/",
        "$SYS/#",
        "$SYS",
        "$nobody/serves/this",
        "$share/group/topic",
        "$share/group",
        "$share//topic",
        "$queue/topic",
        &long,
    ];
    for filter in filters {
        let mut client = stage.client("client").await?;
        let subscribe = wire::subscribe(1, filter.as_bytes(), 2);
        client.send_packet(0x82, &subscribe).await?;
        let answer = client
            .wait_for("the answer", |packet| match packet {
                Packet::SubAck(1, codes) => Some(Some(codes.clone())),
                Packet::Closed => Some(None),
                _ => None,
            })
            .await?;
        if let Some(codes) = answer {
            let known = matches!(codes[..], [0..=2 | 0x80]);
            ensure!(known, "{codes:02x?} to {filter:.40}");
        }
    }
    Ok(())
}
