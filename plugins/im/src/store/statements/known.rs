//! Sends that were stored before.

use partyline_plugin::sqlx;
use partyline_protocol::{ClientMessageId, Member, MessageId};

use super::column;
use super::model::KnownSend;
use super::rows::{self, SendRow};
use super::{Db, Pool, Result};

// In this order, so that the stored messages are looked up one by one and not read through.
const KNOWN: &str = concat!(
    "SELECT m.sender_app, m.sender, m.client_msg_id, m.content_hash, m.id, m.seq, m.at_ms, c.name
     FROM ",
    rows_of!(app text, sender text, client_msg_id text),
    " CROSS JOIN im_message m CROSS JOIN im_conversation c
     WHERE m.sender_app = r.app AND m.sender = r.sender AND m.client_msg_id = r.client_msg_id
       AND c.id = m.conversation"
);

#[derive(sqlx::FromRow)]
struct KnownRow {
    sender_app: String,
    sender: String,
    client_msg_id: String,
    content_hash: String,
    id: i64,
    seq: i64,
    at_ms: i64,
    name: String,
}

pub(super) async fn known(
    pool: &Pool,
    sends: &[(Member, ClientMessageId)],
) -> Result<Vec<KnownSend>> {
    let sends: Vec<SendRow<'_>> = sends
        .iter()
        .map(|(member, id)| SendRow {
            app: member.appkey.as_str(),
            sender: member.username.as_str(),
            client_msg_id: id.as_str(),
        })
        .collect();
    let query = sqlx::query_as::<Db, KnownRow>(KNOWN).bind(rows::encode(&sends)?);
    query
        .fetch_all(pool)
        .await?
        .into_iter()
        .map(KnownSend::try_from)
        .collect()
}

impl TryFrom<KnownRow> for KnownSend {
    type Error = sqlx::Error;

    fn try_from(row: KnownRow) -> Result<Self> {
        Ok(Self {
            sender: column::member(&row.sender_app, &row.sender)?,
            client_msg_id: column::text(&row.client_msg_id)?,
            content_hash: row.content_hash,
            id: column::message_id(row.id)?,
            conversation: column::text(&row.name)?,
            seq: column::seq(row.seq)?,
            at_ms: column::number(row.at_ms)?,
        })
    }
}

pub(super) async fn highest(pool: &Pool) -> Result<MessageId> {
    let highest = sqlx::query_scalar::<Db, Option<i64>>("SELECT max(id) FROM im_message");
    column::message_id(highest.fetch_one(pool).await?.unwrap_or(0))
}
