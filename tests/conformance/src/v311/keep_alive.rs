//! The keep-alive: section 3.1.2.10.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use partyline_testkit::PATIENCE;

use crate::case::case;
use crate::ending::cut;
use crate::statement::{client, server};
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.2.10 Keep-alive",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    client(
        "MQTT-3.1.2-23",
        "A client lets no more than the keep-alive pass between two packets.",
    ),
    server(
        "MQTT-3.1.2-24",
        "Silence of one and a half times the keep-alive ends the connection as a network failure does.",
    ),
];

const CASES: &[Case] = &[case!(
    silence_beyond_the_keep_alive_ends_the_connection,
    "MQTT-3.1.2-24"
)];

async fn silence_beyond_the_keep_alive_ends_the_connection(stage: Stage) -> Result<()> {
    let topic = stage.topic("will");
    let mut subscriber = stage.subscriber("subscriber", &[(&topic, 1)]).await?;
    let mut options = stage.options("silent").will(&topic, b"gone", 1, false);
    options.keep_alive = 2;
    let begin = Instant::now();
    // However short the case's patience is, the keep-alive takes its time.
    let mut silent = stage.connected(&options).await?.patience(PATIENCE);
    cut(&mut silent).await?;
    let silence = begin.elapsed();
    // A broker may look at its clients only every few seconds.
    let (least, most) = (Duration::from_secs(2), Duration::from_secs(3 + 6));
    ensure!(least <= silence && silence <= most, "after {silence:?}");
    let will = subscriber.take(&topic).await?;
    ensure!(will.payload == "gone", "{will:?}");
    Ok(())
}
