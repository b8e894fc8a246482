//! A killed process proves nothing about a power cut: the system calls do.

mod calls;
mod order;
mod strace;

use anyhow::Context;
use partyline_plugin::database::Pool;
use partyline_plugin::sqlx;
use partyline_system_tests::Server;
use partyline_testkit::{Backend, RawClient, Version};
use serde_json::json;

use self::order::Log;
use self::strace::Strace;

/// Stands in the message alone: a look-up by the id says nothing about its commit.
const TEXT: &str = "this-text-is-traced";

async fn send(client: &mut RawClient, text: &str) -> anyhow::Result<()> {
    let request = json!({
        "client_msg_id": format!("{}-bytes", text.len()), "target_type": "single", "target_id": "bobby",
        "msg_type": "text", "msg_body": { "text": text },
    });
    client.ok("$im/message/send", &request).await?;
    Ok(())
}

/// Sends one message while `others` and the server are traced; returns the trace. The connection
/// and its login, which is a commit too, are there before.
async fn trace_one(
    server: &Server,
    client: &mut RawClient,
    others: &[u32],
) -> anyhow::Result<String> {
    let file = server.folder().join("strace.txt");
    let pid = server.pid().context("no server")?;
    let strace = Strace::attach(pid, others, &file).await?;
    send(client, TEXT).await?;
    strace.detach().await?;
    Ok(std::fs::read_to_string(&file)?)
}

async fn stage(backend: Backend) -> anyhow::Result<(Server, RawClient)> {
    let server = Server::start(backend, "").await?;
    server.add_user("alice").await?;
    server.add_user("bobby").await?;
    let mut client = server
        .connect(&server.user(Version::V311, "alice", "phone"))
        .await?;
    send(&mut client, "warm-up").await?;
    Ok((server, client))
}

#[tokio::test]
async fn sqlite_syncs_before_it_acknowledges() -> anyhow::Result<()> {
    let (server, mut client) = stage(Backend::Sqlite).await?;
    let trace = trace_one(&server, &mut client, &[]).await?;
    order::check(&trace, TEXT, Log::Sqlite).with_context(|| trace)?;
    client.disconnect(0).await?;
    server.discard().await
}

#[tokio::test]
async fn postgres_syncs_before_we_acknowledge() -> anyhow::Result<()> {
    let (server, mut client) = stage(Backend::Postgres).await?;
    let database = server.database().open().await?;
    let Pool::Postgres(pool) = database.pool() else {
        anyhow::bail!("not PostgreSQL")
    };
    // One sync serves all commits that wait for it, so that another client's process or the
    // writer of the log may do ours. Who comes later is followed from the postmaster on.
    let writers: Vec<i32> = sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity \
         WHERE backend_type IN ('client backend', 'walwriter') AND pid <> pg_backend_pid()",
    )
    .fetch_all(pool)
    .await?;
    let method: String = sqlx::query_scalar("SELECT current_setting('wal_sync_method')")
        .fetch_one(pool)
        .await?;
    let own: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(pool)
        .await?;
    let log = if method.starts_with("open_") {
        Log::PostgresSyncedByWrites
    } else {
        Log::Postgres
    };
    let mut traced = vec![parent_of(own)?];
    for writer in writers {
        traced.push(u32::try_from(writer)?);
    }
    let trace = trace_one(&server, &mut client, &traced).await?;
    order::check(&trace, TEXT, log).with_context(|| trace)?;
    client.disconnect(0).await?;
    database.close().await;
    server.discard().await
}

/// The postmaster is the parent of all.
fn parent_of(pid: i32) -> anyhow::Result<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no fields")?;
    let parent = fields.split_whitespace().nth(1).context("no parent")?;
    Ok(parent.parse()?)
}
