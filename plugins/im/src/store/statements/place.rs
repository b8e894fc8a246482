//! Places in streams, and the streams themselves where they are missing.

use async_trait::async_trait;
use partyline_plugin::database::{WriteJob, WriteTx};
use partyline_plugin::sqlx::{self, Executor};
use partyline_protocol::{Epoch, Member, RegistrationId};

use super::model::{Opened, Place, Start, StreamId};
use super::{Connection, Db, Pool, Result, column, connection};

const PLACE: &str = "SELECT id, epoch, head, floor FROM im_stream WHERE app = $1 AND username = $2";

const MAKE: &str = "INSERT INTO im_stream (app, username, epoch, head) VALUES ($1, $2, $3, 0)
     ON CONFLICT (app, username) DO NOTHING";

const OPENED: &str = "SELECT s.id, s.epoch, s.head, s.floor, c.seq AS place, c.untouched
     FROM im_stream s JOIN im_cursor c ON c.stream = s.id AND c.device = $3
     WHERE s.app = $1 AND s.username = $2";

const ACKNOWLEDGED: &str = "SELECT s.acked, max(c.seq)
     FROM im_stream s LEFT JOIN im_cursor c ON c.stream = s.id
     WHERE s.id = $1 GROUP BY s.acked";

const START: &str = "INSERT INTO im_cursor (stream, device, seq, untouched) VALUES ($1, $2, $3, $4)
     ON CONFLICT (stream, device) DO NOTHING";

const START_AGAIN: &str =
    "INSERT INTO im_cursor (stream, device, seq, untouched) VALUES ($1, $2, $3, $4)
     ON CONFLICT (stream, device) DO UPDATE
     SET seq = excluded.seq, untouched = excluded.untouched";

const CURSOR: &str = "SELECT seq, untouched FROM im_cursor WHERE stream = $1 AND device = $2";

#[derive(sqlx::FromRow)]
struct PlaceRow {
    id: i64,
    epoch: String,
    head: i64,
    floor: i64,
}

#[derive(sqlx::FromRow)]
struct OpenedRow {
    #[sqlx(flatten)]
    stream: PlaceRow,
    place: i64,
    untouched: i64,
}

impl TryFrom<PlaceRow> for Place {
    type Error = sqlx::Error;

    fn try_from(row: PlaceRow) -> Result<Self> {
        Ok(Self {
            stream: StreamId(row.id),
            epoch: column::text(&row.epoch)?,
            head: column::seq(row.head)?,
            floor: column::seq(row.floor)?,
        })
    }
}

pub(super) async fn place<'e, E>(executor: E, user: &Member) -> Result<Option<Place>>
where
    E: Executor<'e, Database = Db>,
{
    let query = sqlx::query_as::<Db, PlaceRow>(PLACE);
    let query = query
        .bind(user.appkey.as_str())
        .bind(user.username.as_str());
    query
        .fetch_optional(executor)
        .await?
        .map(Place::try_from)
        .transpose()
}

pub(super) async fn opened(
    pool: &Pool,
    user: &Member,
    device: &RegistrationId,
) -> Result<Option<Opened>> {
    let query = sqlx::query_as::<Db, OpenedRow>(OPENED).bind(user.appkey.as_str());
    let query = query.bind(user.username.as_str()).bind(device.as_str());
    let Some(row) = query.fetch_optional(pool).await? else {
        return Ok(None);
    };
    let cursor = column::seq(row.place)?;
    Ok(Some(Opened {
        place: row.stream.try_into()?,
        cursor,
        untouched: row.untouched != 0,
    }))
}

/// The user's stream, made where it is missing.
async fn make(connection: &mut Connection, user: &Member, fresh: &Epoch) -> Result<Place> {
    let query = sqlx::query::<Db>(MAKE).bind(user.appkey.as_str());
    let query = query.bind(user.username.as_str()).bind(fresh.as_str());
    query.execute(&mut *connection).await?;
    place(&mut *connection, user)
        .await?
        .ok_or(sqlx::Error::RowNotFound)
}

pub(super) struct Make<'a> {
    pub(super) user: &'a Member,
    pub(super) fresh: &'a Epoch,
}

#[async_trait]
impl WriteJob for Make<'_> {
    type Output = Place;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<Place> {
        make(connection(tx)?, self.user, self.fresh).await
    }
}

pub(super) struct Open<'a> {
    pub(super) user: &'a Member,
    pub(super) device: &'a RegistrationId,
    pub(super) start: Start,
    pub(super) fresh: &'a Epoch,
}

#[async_trait]
impl WriteJob for Open<'_> {
    type Output = Opened;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<Opened> {
        let connection = connection(tx)?;
        let place = make(connection, self.user, self.fresh).await?;
        let start = match self.start {
            Start::Acknowledged => {
                let query = sqlx::query_as::<Db, (i64, Option<i64>)>(ACKNOWLEDGED);
                let (past, present) = query
                    .bind(place.stream.0)
                    .fetch_one(&mut *connection)
                    .await?;
                present.map_or(past, |present| present.max(past))
            }
            Start::Oldest | Start::OldestAgain => column::column(place.floor.get()),
        };
        let insert = if self.start == Start::OldestAgain {
            START_AGAIN
        } else {
            START
        };
        let untouched = i64::from(self.start == Start::Acknowledged);
        let query = sqlx::query::<Db>(insert).bind(place.stream.0);
        let query = query.bind(self.device.as_str()).bind(start).bind(untouched);
        query.execute(&mut *connection).await?;
        let query = sqlx::query_as::<Db, (i64, i64)>(CURSOR).bind(place.stream.0);
        let (cursor, untouched) = query
            .bind(self.device.as_str())
            .fetch_one(connection)
            .await?;
        Ok(Opened {
            place,
            cursor: column::seq(cursor)?,
            untouched: untouched != 0,
        })
    }
}
