//! A server with two people, and what its raw clients do again and again.

use anyhow::{Context, ensure};
use partyline_system_tests::Server;
use partyline_testkit::{Backend, Packet, Publish, RawClient, Version};
use serde_json::{Value, json};

use super::batch::Batch;

/// Both protocols that clients speak nowadays.
pub(crate) const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// Passwords that cost little, and changes from the command line that are seen at once.
const QUICK: &str = "
[plugins.accounts.passwords]
memory_kib = 8
passes = 1
[plugins.accounts.changes]
poll_ms = 10
";

/// Lets devices and users use plain topics.
pub(crate) const OPEN_TOPICS: &str = r##"
[[plugins.acl.rules]]
effect = "allow"
action = "all"
topic = "#"
"##;

tokio::task_local! {
    /// The database of the test that runs.
    static BACKEND: Backend;
}

/// Runs tests without arguments on both databases: [`server`] takes the one whose turn it is.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                $crate::chat::stage::on(partyline_testkit::Backend::Sqlite, super::$name()).await
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                $crate::chat::stage::on(partyline_testkit::Backend::Postgres, super::$name()).await
            })+
        }
    };
}
pub(crate) use on_both;

/// Runs a test whose servers use this database.
pub(crate) async fn on<F: Future>(backend: Backend, test: F) -> F::Output {
    // Both tests of a pair hold the same large future.
    BACKEND.scope(backend, test).await
}

/// A server with the users `alice` and `bobby`.
pub(crate) async fn server() -> anyhow::Result<Server> {
    server_with("").await
}

/// A server with the users `alice` and `bobby` and this addition to its configuration.
pub(crate) async fn server_with(config: &str) -> anyhow::Result<Server> {
    let backend = BACKEND.try_with(|backend| *backend);
    server_on(backend.unwrap_or(Backend::Sqlite), config).await
}

/// The same with this database.
pub(crate) async fn server_on(backend: Backend, config: &str) -> anyhow::Result<Server> {
    let server = Server::start(backend, &format!("{QUICK}{config}")).await?;
    server.add_user("alice").await?;
    server.add_user("bobby").await?;
    Ok(server)
}

/// A user's raw client, on MQTT 5.
pub(crate) async fn user(server: &Server, name: &str, device: &str) -> anyhow::Result<RawClient> {
    server
        .connect(&server.user(Version::V5, name, device))
        .await
}

/// A `message/send`.
pub(crate) fn text_to(to: &str, id: &str, text: &str) -> Value {
    json!({
        "id": id, "client_msg_id": id, "target_type": "single", "target_id": to,
        "msg_type": "text", "msg_body": {"text": text},
    })
}

/// Sends a text, whose `client_msg_id` is the text itself.
pub(crate) async fn say(client: &mut RawClient, to: &str, text: &str) -> anyhow::Result<Value> {
    client
        .ok("$im/message/send", &text_to(to, text, text))
        .await
}

/// Subscribes to the inbox.
pub(crate) async fn listen(client: &mut RawClient) -> anyhow::Result<()> {
    let granted = client.subscribe(&[("$im/inbox", 1)]).await?;
    ensure!(granted == [1], "granted {granted:02x?}");
    Ok(())
}

/// The next batch with its packet; it is not acknowledged.
pub(crate) async fn batch(client: &mut RawClient) -> anyhow::Result<(Publish, Batch)> {
    let publish = client.publish_on("$im/inbox").await?;
    ensure!(
        publish.qos == 1 && !publish.retain && !publish.dup,
        "{publish:?}"
    );
    let batch = Batch::parse(&publish.json()?)?;
    Ok((publish, batch))
}

/// Takes and acknowledges batches until the stream has reached `seq`; gives their items.
pub(crate) async fn items_to(client: &mut RawClient, seq: u64) -> anyhow::Result<Vec<Value>> {
    items_between(client, None, seq).await
}

/// The same for a client whose first batch must begin at `place`, if that is known.
pub(crate) async fn items_between(
    client: &mut RawClient,
    mut place: Option<u64>,
    seq: u64,
) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    while place.is_none_or(|place| place < seq) {
        let (packet, batch) = batch(client).await?;
        let joins = place.is_none_or(|place| place == batch.prev);
        ensure!(joins, "after {place:?} came {batch:?}");
        place = Some(batch.seq);
        items.extend(batch.items);
        client.puback(packet.id).await?;
    }
    ensure!(place == Some(seq), "it went beyond {seq}: {items:?}");
    Ok(items)
}

/// Fails if the client has got a batch. It waits for commands that the broker takes up later. That
/// alone does not order it behind a delivery, which has a task of its own: let another device of
/// the user get the item first, or look at where the next batch begins.
pub(crate) async fn hears_nothing(client: &mut RawClient) -> anyhow::Result<()> {
    for _ in 0..3 {
        client.ok("$im/session/devices", &json!({})).await?;
    }
    client.ping().await?;
    let batch = client
        .unasked()
        .find(|packet| matches!(packet, Packet::Publish(publish) if publish.topic == "$im/inbox"));
    ensure!(batch.is_none(), "a batch came: {batch:?}");
    Ok(())
}

/// Where the device begins when it comes back: after everything that it acknowledged. Something
/// must lie beyond it.
pub(crate) async fn starts_at(server: &Server, name: &str, device: &str) -> anyhow::Result<u64> {
    let mut client = user(server, name, device).await?;
    listen(&mut client).await?;
    let (_, batch) = batch(&mut client).await?;
    client.disconnect(0).await?;
    Ok(batch.prev)
}

/// Asks where the cursor is until it has reached `seq`: the broker has seen the PUBACK then.
pub(crate) async fn cursor_reaches(
    client: &mut RawClient,
    epoch: &str,
    seq: u64,
) -> anyhow::Result<()> {
    // Acknowledging nothing answers with the cursor and changes nothing.
    let probe = json!({"epoch": epoch, "seq": 0});
    let reach = async {
        loop {
            if client.ok("$im/inbox/ack", &probe).await?["seq"] == seq {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(partyline_testkit::PATIENCE, reach)
        .await
        .context("the cursor did not move")?
}

/// The code of a refused command.
pub(crate) async fn refused(
    client: &mut RawClient,
    topic: &str,
    request: &Value,
) -> anyhow::Result<(u64, u8)> {
    let (reply, reason) = client.request(topic, request).await?;
    let code = reply["error"]["code"].as_u64();
    Ok((code.with_context(|| format!("no error: {reply}"))?, reason))
}
