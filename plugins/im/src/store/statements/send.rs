//! The transaction that stores messages.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use partyline_plugin::database::{WriteJob, WriteTx};
use partyline_plugin::sqlx;
use partyline_protocol::{Epoch, Member};

use super::model::{Batch, CursorMove, NewMessage, Placed};
use super::rows::{self, ConversationRow, CursorRow, ItemRow, MemberRow, MessageRow, StreamRow};
use super::{Connection, Db, Result, column, connection};

const CONVERSATIONS: &str = concat!(
    "INSERT INTO im_conversation (name, last, kept) SELECT name, n, kept FROM ",
    rows_of!(name text, n bigint, kept bigint),
    " WHERE true ON CONFLICT (name) DO UPDATE SET last = im_conversation.last + excluded.last,
         kept = im_conversation.kept + excluded.kept
     RETURNING name, id, last, kept"
);

const STREAMS: &str = concat!(
    "INSERT INTO im_stream (app, username, epoch, head) SELECT app, username, $2, n FROM ",
    rows_of!(app text, username text, n bigint),
    " WHERE true ON CONFLICT (app, username) DO UPDATE SET head = im_stream.head + excluded.head
     RETURNING app, username, id, head"
);

const MEMBERS: &str = concat!(
    "INSERT INTO im_member (stream, conversation, joined) SELECT stream, conversation, joined FROM ",
    rows_of!(stream bigint, conversation bigint, joined bigint),
    " WHERE true ON CONFLICT (stream, conversation) DO NOTHING"
);

const MESSAGES: &str = concat!(
    "INSERT INTO im_message (id, conversation, seq, kept, sender_app, sender, client_msg_id,
                             content_hash, at_ms, expire_at, no_offline, content)
     SELECT id, conversation, seq, kept, app, sender, client_msg_id,
            hash, at_ms, expire_at, no_offline, content FROM ",
    rows_of!(
        id bigint, conversation bigint, seq bigint, kept bigint, app text, sender text,
        client_msg_id text, hash text, at_ms bigint, expire_at bigint, no_offline bigint, content text
    )
);

const ITEMS: &str = concat!(
    "INSERT INTO im_item (stream, seq, at_ms, message) SELECT stream, seq, at_ms, message FROM ",
    rows_of!(stream bigint, seq bigint, at_ms bigint, message bigint)
);

// Never back, and never over what lies before `from`: that was not acknowledged.
const CURSORS: &str = concat!(
    "UPDATE im_cursor SET seq = r.to_seq, untouched = 0 FROM ",
    rows_of!(stream bigint, device text, from_seq bigint, to_seq bigint),
    " WHERE im_cursor.stream = r.stream AND im_cursor.device = r.device
       AND im_cursor.seq >= r.from_seq AND im_cursor.seq < r.to_seq"
);

pub(super) struct Job<'a>(pub(super) Batch<'a>);

#[async_trait]
impl WriteJob for Job<'_> {
    type Output = Vec<Placed>;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<Vec<Placed>> {
        let connection = connection(tx)?;
        let placed = if self.0.messages.is_empty() {
            Vec::new()
        } else {
            store(connection, self.0.messages, self.0.fresh).await?
        };
        if !self.0.cursors.is_empty() {
            advance(connection, self.0.cursors).await?;
        }
        Ok(placed)
    }
}

/// A row that hands out numbers: its id, and the last number handed out so far.
struct Counter {
    id: i64,
    last: i64,
}

impl Counter {
    /// The counter as it was before `taken` numbers were taken from it.
    fn before(id: i64, last: i64, taken: i64) -> Self {
        Self {
            id,
            last: last - taken,
        }
    }

    fn next(&mut self) -> i64 {
        self.last += 1;
        self.last
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Protocol("a row that was just written did not come back".to_owned())
}

async fn store(
    connection: &mut Connection,
    messages: &[NewMessage],
    fresh: &Epoch,
) -> Result<Vec<Placed>> {
    let names: Vec<String> = messages
        .iter()
        .map(|m| m.conversation.to_string())
        .collect();
    let mut conversations = conversations(connection, messages, &names).await?;
    let mut streams = streams(connection, messages, fresh).await?;

    let mut message_rows = Vec::with_capacity(messages.len());
    let mut item_rows = Vec::with_capacity(messages.len() * 2);
    let mut members = BTreeMap::new();
    let mut placed = Vec::with_capacity(messages.len());
    let texts = messages.iter().map(Texts::of).collect::<Result<Vec<_>>>()?;
    for ((message, name), texts) in messages.iter().zip(&names).zip(&texts) {
        let conversation = conversations.get_mut(name.as_str()).ok_or_else(lost)?;
        let (id, seq) = (column::column(message.id.get()), conversation.places.next());
        if !message.no_offline {
            conversation.kept += 1;
        }
        let at_ms = column::column(message.at_ms);
        let mut items = Vec::with_capacity(message.receivers.len());
        for receiver in &message.receivers {
            let stream = streams.get_mut(receiver).ok_or_else(lost)?;
            let place = stream.next();
            members
                .entry((stream.id, conversation.places.id))
                .or_insert(seq);
            item_rows.push(ItemRow {
                stream: stream.id,
                seq: place,
                at_ms,
                message: id,
            });
            items.push(column::seq(place)?);
        }
        message_rows.push(MessageRow {
            id,
            conversation: conversation.places.id,
            seq,
            kept: conversation.kept,
            app: message.sender.appkey.as_str(),
            sender: message.sender.username.as_str(),
            client_msg_id: message.client_msg_id.as_str(),
            hash: &texts.hash,
            at_ms,
            expire_at: message.expire_at.map(column::column),
            no_offline: i64::from(message.no_offline),
            content: &texts.content,
        });
        placed.push(Placed {
            seq: column::seq(seq)?,
            items,
        });
    }
    let members: Vec<MemberRow> = members
        .into_iter()
        .map(|((stream, conversation), joined)| MemberRow {
            stream,
            conversation,
            joined,
        })
        .collect();
    for (sql, rows) in [
        (MEMBERS, rows::encode(&members)?),
        (MESSAGES, rows::encode(&message_rows)?),
        (ITEMS, rows::encode(&item_rows)?),
    ] {
        sqlx::query::<Db>(sql)
            .bind(rows)
            .execute(&mut *connection)
            .await?;
    }
    Ok(placed)
}

/// A conversation's numbers: its places, and how many of its messages are for offline delivery.
struct ConversationCounter {
    places: Counter,
    kept: i64,
}

/// Takes numbers from the conversations, which locks them in the order of their names.
async fn conversations(
    connection: &mut Connection,
    messages: &[NewMessage],
    names: &[String],
) -> Result<HashMap<String, ConversationCounter>> {
    let mut wanted = BTreeMap::<&str, (i64, i64)>::new();
    for (message, name) in messages.iter().zip(names) {
        let (n, kept) = wanted.entry(name).or_default();
        *n += 1;
        *kept += i64::from(!message.no_offline);
    }
    let rows: Vec<_> = wanted
        .iter()
        .map(|(name, (n, kept))| ConversationRow {
            name,
            n: *n,
            kept: *kept,
        })
        .collect();
    let query = sqlx::query_as::<Db, (String, i64, i64, i64)>(CONVERSATIONS);
    let query = query.bind(rows::encode(&rows)?);
    let rows = query.fetch_all(connection).await?.into_iter();
    let counters = rows.map(|(name, id, last, kept)| {
        let (n, kept_here) = *wanted.get(name.as_str()).ok_or_else(lost)?;
        let counter = ConversationCounter {
            places: Counter::before(id, last, n),
            kept: kept - kept_here,
        };
        Ok((name, counter))
    });
    counters.collect()
}

/// Takes numbers from the streams, which locks them in the order of app and username.
async fn streams(
    connection: &mut Connection,
    messages: &[NewMessage],
    fresh: &Epoch,
) -> Result<HashMap<Member, Counter>> {
    let mut wanted = BTreeMap::<(&str, &str), i64>::new();
    for receiver in messages.iter().flat_map(|message| &message.receivers) {
        *wanted
            .entry((receiver.appkey.as_str(), receiver.username.as_str()))
            .or_default() += 1;
    }
    let rows: Vec<_> = wanted
        .iter()
        .map(|((app, username), n)| StreamRow {
            app,
            username,
            n: *n,
        })
        .collect();
    let query = sqlx::query_as::<Db, (String, String, i64, i64)>(STREAMS);
    let query = query.bind(rows::encode(&rows)?).bind(fresh.as_str());
    let rows = query.fetch_all(connection).await?.into_iter();
    let counters = rows.map(|(app, username, id, head)| {
        let taken = *wanted
            .get(&(app.as_str(), username.as_str()))
            .ok_or_else(lost)?;
        Ok((
            column::member(&app, &username)?,
            Counter::before(id, head, taken),
        ))
    });
    counters.collect()
}

/// What of a message is stored as text of its own.
struct Texts {
    hash: String,
    content: String,
}

impl Texts {
    fn of(message: &NewMessage) -> Result<Self> {
        let content = serde_json::to_string(&message.content);
        let content = content.map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
        Ok(Self {
            hash: message.hash_digits(),
            content,
        })
    }
}

async fn advance(connection: &mut Connection, moves: &[CursorMove]) -> Result<()> {
    let mut moves: Vec<CursorRow<'_>> = moves
        .iter()
        .map(|one| CursorRow {
            stream: one.stream.0,
            device: one.device.as_str(),
            from_seq: column::column(one.from.get()),
            to_seq: column::column(one.to.get()),
        })
        .collect();
    moves.sort_unstable_by_key(|row| (row.stream, row.device));
    let query = sqlx::query::<Db>(CURSORS).bind(rows::encode(&moves)?);
    query.execute(connection).await?;
    Ok(())
}
