//! Reading a stream.

use partyline_plugin::sqlx;

use super::column;
use super::model::{ItemsPage, Kept, Range, StoredItem, StreamId};
use super::{Db, Pool, Result};

// An item says that its conversation is truncated if the message before it was there for this user
// and is not kept.
const ITEMS: &str = "SELECT i.seq, m.id, c.name, m.seq AS msg_seq, m.sender_app, m.sender,
            m.client_msg_id, m.at_ms, m.expire_at, m.no_offline, m.content,
            (m.seq > coalesce(b.joined, m.seq) AND NOT EXISTS
                (SELECT 1 FROM im_message p
                 WHERE p.conversation = m.conversation AND p.seq = m.seq - 1
                   AND p.kept > c.kept - $4 AND p.at_ms >= $5)) AS truncated
     FROM im_item i
     JOIN im_message m ON m.id = i.message
     JOIN im_conversation c ON c.id = m.conversation
     LEFT JOIN im_member b ON b.stream = i.stream AND b.conversation = m.conversation
     WHERE i.stream = $1 AND i.seq > $2 AND i.seq <= $3
       AND m.kept > c.kept - $4 AND i.at_ms >= $5
     ORDER BY i.seq LIMIT $6";

#[derive(sqlx::FromRow)]
struct ItemRow {
    seq: i64,
    id: i64,
    name: String,
    msg_seq: i64,
    sender_app: String,
    sender: String,
    client_msg_id: Option<String>,
    at_ms: i64,
    expire_at: Option<i64>,
    no_offline: i64,
    content: String,
    truncated: bool,
}

pub(super) async fn items(
    pool: &Pool,
    stream: StreamId,
    range: Range,
    kept: Kept,
    limit: u32,
) -> Result<ItemsPage> {
    let query = sqlx::query_as::<Db, ItemRow>(ITEMS)
        .bind(stream.0)
        .bind(column::column(range.after.get()))
        .bind(column::column(range.upto.get()))
        .bind(i64::from(kept.per_conversation))
        .bind(column::column(kept.since_ms))
        .bind(i64::from(limit));
    let rows = query.fetch_all(pool).await?;
    let last = rows.last().filter(|_| rows.len() >= limit as usize);
    let upto = last.map_or(Ok(range.upto), |row| column::seq(row.seq))?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let (seq, id) = (row.seq, row.id);
        let item = StoredItem::try_from(row).inspect_err(|error| {
            tracing::error!(
                error = error as &dyn std::error::Error,
                stream = stream.0,
                seq,
                message = id,
                "unreadable item passed over"
            );
        });
        items.extend(item);
    }
    Ok(ItemsPage { items, upto })
}

impl TryFrom<ItemRow> for StoredItem {
    type Error = sqlx::Error;

    fn try_from(row: ItemRow) -> Result<Self> {
        Ok(Self {
            seq: column::seq(row.seq)?,
            id: column::message_id(row.id)?,
            conversation: column::text(&row.name)?,
            msg_seq: column::seq(row.msg_seq)?,
            sender: column::member(&row.sender_app, &row.sender)?,
            client_msg_id: row.client_msg_id.as_deref().map(column::text).transpose()?,
            at_ms: column::number(row.at_ms)?,
            expire_at: row.expire_at.map(column::number).transpose()?,
            no_offline: row.no_offline != 0,
            content: column::json(&row.content)
                .inspect_err(|error| {
                    tracing::error!(
                        error = error as &dyn std::error::Error,
                        message = row.id,
                        "unreadable content, its place is told"
                    );
                })
                .ok(),
            truncated: row.truncated,
        })
    }
}
