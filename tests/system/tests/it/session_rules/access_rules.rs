//! An app's rules, changed from the command line while its clients are connected.

use std::time::Instant;

use partyline_testkit::{Backend, PATIENCE, RawClient};

use super::entrance::{device, enter, service};
use partyline_system_tests::Server;

const NOT_AUTHORIZED: u8 = 0x87;

/// Publishes until the PUBACK says what is wanted.
async fn until(client: &mut RawClient, topic: &str, wanted: u8) -> anyhow::Result<()> {
    let began = Instant::now();
    loop {
        let id = client.publish(topic, "x", 1, false).await?;
        if client.acked(4, id).await? == wanted {
            return Ok(());
        }
        anyhow::ensure!(began.elapsed() < PATIENCE, "{topic} is not {wanted:#04x}");
    }
}

async fn a_running_server_sees_changed_rules_on(backend: Backend) -> anyhow::Result<()> {
    let server = Server::start(backend, "").await?;
    let app = server.app.clone();
    server
        .cli(&["app", "registration", &app, "open"], None)
        .await?;
    let (mut phone, _) = enter(&server, &device(&server, "phone")).await?;
    let mut backend = server.connect(&service(&server, "backend")).await?;
    let refused = phone.subscribe(&[("rooms/1", 1)]).await?;
    assert_eq!(refused, [NOT_AUTHORIZED]);

    let add = ["acl", "add", &app, "allow", "all", "rooms/#"];
    server.cli(&add, None).await?;
    until(&mut phone, "rooms/2", 0).await?;
    assert_eq!(phone.subscribe(&[("rooms/1", 1)]).await?, [1]);
    until(&mut backend, "rooms/1", 0).await?;
    phone.take("rooms/1").await?;

    server.cli(&["acl", "remove", &app, "1"], None).await?;
    until(&mut phone, "rooms/2", NOT_AUTHORIZED).await?;
    // The subscription follows within the same step of the server.
    let began = Instant::now();
    loop {
        until(&mut backend, "rooms/1", 0).await?;
        phone.ping().await?;
        phone.ping().await?;
        if phone.unasked().next().is_none() {
            break;
        }
        phone.take("rooms/1").await?;
        anyhow::ensure!(
            began.elapsed() < PATIENCE,
            "the subscription is still there"
        );
    }
    server.discard().await
}

#[tokio::test]
async fn a_running_server_sees_changed_rules() -> anyhow::Result<()> {
    a_running_server_sees_changed_rules_on(Backend::Sqlite).await
}

#[tokio::test]
async fn a_running_server_sees_changed_rules_on_postgres() -> anyhow::Result<()> {
    a_running_server_sees_changed_rules_on(Backend::Postgres).await
}
