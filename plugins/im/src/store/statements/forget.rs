//! Removing users, devices and apps.
//!
//! What may be much goes in slices, each a transaction of its own, so that nobody waits long for
//! the database's lock.

use async_trait::async_trait;
use partyline_plugin::database::{Database, WriteJob, WriteTx};
use partyline_plugin::sqlx;
use partyline_protocol::{AppKey, Member, RegistrationId};

use super::place::place;
use super::{Db, Pool, Result, connection};
use crate::conversation_key::ConversationKey;

/// Rows of one transaction.
const SLICE: i64 = 1000;

/// Streams or conversations of an app that are looked up at once.
const PAGE: i64 = 100;

const UNKNOWN_SENDS: &str = "UPDATE im_message SET client_msg_id = NULL WHERE id IN
     (SELECT id FROM im_message
      WHERE sender_app = $1 AND sender = $2 AND client_msg_id IS NOT NULL LIMIT $3)";

const ITEMS: &str = "DELETE FROM im_item WHERE stream = $1 AND seq <=
     (SELECT max(seq) FROM
        (SELECT seq FROM im_item WHERE stream = $1 ORDER BY seq LIMIT $2) AS oldest)";

const MESSAGES: &str = "DELETE FROM im_message WHERE conversation = $1 AND seq <=
     (SELECT max(seq) FROM
        (SELECT seq FROM im_message WHERE conversation = $1 ORDER BY seq LIMIT $2) AS oldest)";

/// One statement as a transaction.
struct Slice {
    sql: &'static str,
    texts: Vec<String>,
    numbers: Vec<i64>,
}

#[async_trait]
impl WriteJob for Slice {
    type Output = u64;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<u64> {
        let mut query = sqlx::query::<Db>(self.sql);
        for text in &self.texts {
            query = query.bind(text.as_str());
        }
        for number in &self.numbers {
            query = query.bind(*number);
        }
        Ok(query.execute(connection(tx)?).await?.rows_affected())
    }
}

/// Runs a statement until it finds less than a slice.
async fn drain(
    database: &Database,
    sql: &'static str,
    texts: Vec<String>,
    number: Option<i64>,
) -> Result<()> {
    loop {
        let numbers = number.into_iter().chain([SLICE]).collect();
        let slice = Slice {
            sql,
            texts: texts.clone(),
            numbers,
        };
        if database.write(slice).await? < SLICE.unsigned_abs() {
            return Ok(());
        }
    }
}

pub(super) async fn user(database: &Database, pool: &Pool, user: &Member) -> Result<()> {
    let sender = vec![
        user.appkey.as_str().to_owned(),
        user.username.as_str().to_owned(),
    ];
    drain(database, UNKNOWN_SENDS, sender, None).await?;
    if let Some(place) = place(pool, user).await? {
        stream(database, place.stream.0).await?;
    }
    Ok(())
}

async fn stream(database: &Database, id: i64) -> Result<()> {
    drain(database, ITEMS, Vec::new(), Some(id)).await?;
    // The row goes last and together with what came in the meantime: cut short before, all of
    // this is done again.
    database.write(LastOfStream(id)).await
}

struct LastOfStream(i64);

#[async_trait]
impl WriteJob for LastOfStream {
    type Output = ();

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        let connection = connection(tx)?;
        // The stream first: a send that waits for its row makes a new stream afterwards.
        for sql in [
            "DELETE FROM im_stream WHERE id = $1",
            "DELETE FROM im_item WHERE stream = $1",
            "DELETE FROM im_cursor WHERE stream = $1",
            "DELETE FROM im_member WHERE stream = $1",
        ] {
            sqlx::query::<Db>(sql)
                .bind(self.0)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

pub(super) struct Device<'a> {
    pub(super) user: &'a Member,
    pub(super) device: &'a RegistrationId,
}

#[async_trait]
impl WriteJob for Device<'_> {
    type Output = ();

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        let connection = connection(tx)?;
        let Some(place) = place(&mut *connection, self.user).await? else {
            return Ok(());
        };
        let query = "UPDATE im_stream SET acked = c.seq FROM im_cursor c
             WHERE im_stream.id = $1 AND c.stream = $1 AND c.device = $2
               AND c.seq > im_stream.acked";
        let query = sqlx::query::<Db>(query)
            .bind(place.stream.0)
            .bind(self.device.as_str());
        query.execute(&mut *connection).await?;
        let query = "DELETE FROM im_cursor WHERE stream = $1 AND device = $2";
        let query = sqlx::query::<Db>(query)
            .bind(place.stream.0)
            .bind(self.device.as_str());
        query.execute(connection).await?;
        Ok(())
    }
}

pub(super) async fn app(database: &Database, pool: &Pool, app: &AppKey) -> Result<()> {
    loop {
        let query = "SELECT id FROM im_stream WHERE app = $1 ORDER BY username LIMIT $2";
        let query = sqlx::query_scalar::<Db, i64>(query)
            .bind(app.as_str())
            .bind(PAGE);
        let streams = query.fetch_all(pool).await?;
        if streams.is_empty() {
            break;
        }
        for id in streams {
            stream(database, id).await?;
        }
    }
    let (from, until) = ConversationKey::range_of(app);
    loop {
        let query = "SELECT id FROM im_conversation WHERE name >= $1 AND name < $2
             ORDER BY name LIMIT $3";
        let query = sqlx::query_scalar::<Db, i64>(query)
            .bind(&from)
            .bind(&until)
            .bind(PAGE);
        let conversations = query.fetch_all(pool).await?;
        if conversations.is_empty() {
            return Ok(());
        }
        for id in conversations {
            drain(database, MESSAGES, Vec::new(), Some(id)).await?;
            database.write(LastOfConversation(id)).await?;
        }
    }
}

struct LastOfConversation(i64);

#[async_trait]
impl WriteJob for LastOfConversation {
    type Output = ();

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<()> {
        let connection = connection(tx)?;
        for sql in [
            "DELETE FROM im_conversation WHERE id = $1",
            "DELETE FROM im_message WHERE conversation = $1",
        ] {
            sqlx::query::<Db>(sql)
                .bind(self.0)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}
