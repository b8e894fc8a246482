//! User name and password: sections 3.1.2.8 and 3.1.2.9.

use anyhow::{Result, ensure};

use super::wire;
use crate::case::case;
use crate::ending::cut;
use crate::statement::server;
use crate::{Case, Chapter, Stage, Statement};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "3.1.2.8 User name and password",
    statements: STATEMENTS,
    cases: CASES,
};

const STATEMENTS: &[Statement] = &[
    server(
        "MQTT-3.1.2-18",
        "Without the User Name flag, the payload has no user name.",
    ),
    server(
        "MQTT-3.1.2-19",
        "With the User Name flag, the payload has a user name.",
    ),
    server(
        "MQTT-3.1.2-20",
        "Without the Password flag, the payload has no password.",
    ),
    server(
        "MQTT-3.1.2-21",
        "With the Password flag, the payload has a password.",
    ),
    server(
        "MQTT-3.1.2-22",
        "Without the User Name flag, the Password flag is 0.",
    ),
];

const CASES: &[Case] = &[
    case!(an_unflagged_user_name_is_malformed, "MQTT-3.1.2-18"),
    case!(a_missing_user_name_is_malformed, "MQTT-3.1.2-19"),
    case!(an_unflagged_password_is_malformed, "MQTT-3.1.2-20"),
    case!(a_missing_password_is_malformed, "MQTT-3.1.2-21"),
    case!(a_password_without_user_name_is_malformed, "MQTT-3.1.2-22"),
    case!(
        credentials_are_read_as_flagged,
        "MQTT-3.1.2-19",
        "MQTT-3.1.2-21"
    ),
];

async fn malformed(stage: &Stage, flags: u8, credentials: &[&[u8]]) -> Result<()> {
    let id = stage.client_id("client");
    let fields = [&[id.as_bytes()], credentials].concat();
    let mut client = stage.open().await?;
    client
        .send_packet(0x10, &wire::connect(flags, &fields))
        .await?;
    cut(&mut client).await
}

async fn an_unflagged_user_name_is_malformed(stage: Stage) -> Result<()> {
    malformed(&stage, 0x02, &[b"user"]).await
}

async fn a_missing_user_name_is_malformed(stage: Stage) -> Result<()> {
    malformed(&stage, 0x82, &[]).await
}

async fn an_unflagged_password_is_malformed(stage: Stage) -> Result<()> {
    malformed(&stage, 0x82, &[b"user", b"password"]).await
}

async fn a_missing_password_is_malformed(stage: Stage) -> Result<()> {
    malformed(&stage, 0xc2, &[b"user"]).await
}

async fn a_password_without_user_name_is_malformed(stage: Stage) -> Result<()> {
    malformed(&stage, 0x42, &[b"password"]).await
}

/// The broker lets everybody in, whatever the credentials, if they are where the flags say.
async fn credentials_are_read_as_flagged(stage: Stage) -> Result<()> {
    let mut with_user = stage.options("user");
    with_user.username = Some("user".to_owned());
    let both = stage.options("both").login("user", &b"pass\0word\xff"[..]);
    let empty = stage.options("empty").login("", "");
    for options in [with_user, both, empty] {
        let (mut client, connack) = stage.answered(&options).await?;
        ensure!(connack.code == 0, "{options:?}: {connack:?}");
        client.ping().await?;
    }
    Ok(())
}
