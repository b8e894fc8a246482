//! Retention: what is too old goes, in small transactions.

use async_trait::async_trait;
use partyline_plugin::database::{Database, WriteJob, WriteTx};
use partyline_plugin::sqlx;
use partyline_protocol::MessageId;

use super::column;
use super::model::{StreamId, Swept};
use super::{Db, Pool, Result, connection};

/// Items of one transaction.
const SLICE: usize = 1000;

// The oldest item of each of the next streams. Looked up on the read side: most streams have
// nothing to remove, and then no write lock is taken.
const OLDEST: &str = "SELECT s.id, s.app, s.username,
        (SELECT i.at_ms FROM im_item i WHERE i.stream = s.id ORDER BY i.seq LIMIT 1)
     FROM im_stream s WHERE s.id > $1 ORDER BY s.id LIMIT $2";

const ITEMS: &str = "SELECT seq, at_ms FROM im_item WHERE stream = $1 ORDER BY seq LIMIT $2";

const RAISE: &str = "UPDATE im_stream SET floor = $2 WHERE id = $1 AND floor < $2";

const REMOVE: &str = "DELETE FROM im_item WHERE stream = $1 AND seq <= $2";

const MESSAGES: &str = "DELETE FROM im_message WHERE id IN
     (SELECT id FROM im_message WHERE id < $1 ORDER BY id LIMIT $2)";

pub(super) async fn items(
    database: &Database,
    pool: &Pool,
    after: StreamId,
    before_ms: u64,
    limit: u32,
) -> Result<Swept> {
    let before_ms = column::column(before_ms);
    let query = sqlx::query_as::<Db, (i64, String, String, Option<i64>)>(OLDEST).bind(after.0);
    let streams = query.bind(i64::from(limit)).fetch_all(pool).await?;
    let last = streams.last().map(|(id, ..)| StreamId(*id));
    let old = streams
        .into_iter()
        .filter(|(.., oldest)| oldest.is_some_and(|oldest| oldest < before_ms));
    let mut old: Vec<_> = old
        .map(|(id, app, username, _)| (app, username, id))
        .collect();
    if old.is_empty() {
        return Ok(Swept { last, items: 0 });
    }
    // As sends lock them.
    old.sort_unstable();
    let streams = old.into_iter().map(|(.., id)| id).collect();
    let removed = database.write(Trim { streams, before_ms }).await?;
    // The slice was full: these streams are looked at again.
    let last = if removed < SLICE { last } else { Some(after) };
    let items = removed as u64;
    Ok(Swept { last, items })
}

struct Trim {
    streams: Vec<i64>,
    before_ms: i64,
}

#[async_trait]
impl WriteJob for Trim {
    type Output = usize;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<usize> {
        let connection = connection(tx)?;
        let mut removed = 0;
        for stream in &self.streams {
            let room = SLICE - removed;
            if room == 0 {
                break;
            }
            let query = sqlx::query_as::<Db, (i64, i64)>(ITEMS).bind(stream);
            let query = query.bind(i64::try_from(room).unwrap_or(i64::MAX));
            let items = query.fetch_all(&mut *connection).await?;
            let old = items
                .into_iter()
                .take_while(|(_, at_ms)| *at_ms < self.before_ms);
            let (count, floor) = old.fold((0, None), |(count, _), (seq, _)| (count + 1, Some(seq)));
            let Some(floor) = floor else { continue };
            for sql in [RAISE, REMOVE] {
                let query = sqlx::query::<Db>(sql).bind(stream).bind(floor);
                query.execute(&mut *connection).await?;
            }
            removed += count;
        }
        Ok(removed)
    }
}

struct Messages {
    below: i64,
    limit: i64,
}

#[async_trait]
impl WriteJob for Messages {
    type Output = u64;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<u64> {
        let query = sqlx::query::<Db>(MESSAGES)
            .bind(self.below)
            .bind(self.limit);
        Ok(query.execute(connection(tx)?).await?.rows_affected())
    }
}

pub(super) async fn messages(
    database: &Database,
    pool: &Pool,
    below: MessageId,
    limit: u32,
) -> Result<u64> {
    let below = column::column(below.get());
    let query = sqlx::query_scalar::<Db, Option<i64>>("SELECT min(id) FROM im_message");
    if query
        .fetch_one(pool)
        .await?
        .is_none_or(|oldest| oldest >= below)
    {
        return Ok(0);
    }
    database
        .write(Messages {
            below,
            limit: i64::from(limit),
        })
        .await
}
