//! Retention: what is too old goes, in small transactions.

use async_trait::async_trait;
use partyline_plugin::database::{Database, WriteJob, WriteTx};
use partyline_plugin::sqlx;
use partyline_protocol::MessageId;

use super::column;
use super::model::{StreamId, Swept};
use super::{Db, Pool, Result, connection};

// The oldest item of each of the next streams. Looked up on the read side: most streams have
// nothing to remove, and then no write lock is taken.
const OLDEST: &str = "SELECT s.id,
        (SELECT i.at_ms FROM im_item i WHERE i.stream = s.id ORDER BY i.seq LIMIT 1)
     FROM im_stream s WHERE s.id > $1 ORDER BY s.id LIMIT $2";

// Up to the place before the first item that stays.
const RAISE: &str = "UPDATE im_stream SET floor = coalesce(
        (SELECT i.seq FROM im_item i WHERE i.stream = im_stream.id AND i.at_ms >= $2
         ORDER BY i.seq LIMIT 1) - 1,
        head)
     WHERE id = $1 RETURNING floor";

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
    let query = sqlx::query_as::<Db, (i64, Option<i64>)>(OLDEST).bind(after.0);
    let streams = query.bind(i64::from(limit)).fetch_all(pool).await?;
    let last = streams.last().map(|(id, _)| StreamId(*id));
    let mut items = 0;
    for (id, oldest) in streams {
        if oldest.is_some_and(|oldest| oldest < before_ms) {
            items += database.write(Trim { id, before_ms }).await?;
        }
    }
    Ok(Swept { last, items })
}

struct Trim {
    id: i64,
    before_ms: i64,
}

#[async_trait]
impl WriteJob for Trim {
    type Output = u64;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<u64> {
        let connection = connection(tx)?;
        let query = sqlx::query_scalar::<Db, i64>(RAISE)
            .bind(self.id)
            .bind(self.before_ms);
        let Some(floor) = query.fetch_optional(&mut *connection).await? else {
            return Ok(0);
        };
        let query = sqlx::query::<Db>(REMOVE).bind(self.id).bind(floor);
        Ok(query.execute(connection).await?.rows_affected())
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
