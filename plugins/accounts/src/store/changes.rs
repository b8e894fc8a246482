//! The change log, and what the streams are still to forget.

use async_trait::async_trait;
use partyline_protocol::{AppKey, RegistrationId, Username};
use sqlx::{PgConnection, SqliteConnection};

use super::{Change, ChangeKind, Forget};

/// Statements on the change log.
#[async_trait]
pub(crate) trait Changes: Send {
    /// Logs a change. Last in its transaction: all that log wait for one another from here on.
    async fn log(
        &mut self,
        kind: ChangeKind,
        app: &AppKey,
        user: Option<&Username>,
        now: i64,
    ) -> Result<(), sqlx::Error>;

    /// Up to `limit` changes after the one with this number, in order.
    async fn changes_after(&mut self, id: i64, limit: i64) -> Result<Vec<Change>, sqlx::Error>;

    /// The number of the newest change, 0 before the first.
    async fn newest_change(&mut self) -> Result<i64, sqlx::Error>;

    async fn purge_changes(&mut self, before: i64) -> Result<(), sqlx::Error>;

    /// Notes that the streams are to forget a device, a user or an app.
    async fn note_forget(
        &mut self,
        app: &AppKey,
        user: Option<&Username>,
        registration: Option<&RegistrationId>,
    ) -> Result<(), sqlx::Error>;

    async fn forgettable(&mut self, limit: i64) -> Result<Vec<Forget>, sqlx::Error>;

    async fn forgotten(&mut self, what: &Forget) -> Result<(), sqlx::Error>;

    /// Whether the streams still hold a deleted user of this name.
    async fn is_forgetting(&mut self, app: &AppKey, user: &Username) -> Result<bool, sqlx::Error>;
}

macro_rules! implement {
    ($connection:ty) => {
        #[async_trait]
        impl Changes for $connection {
            async fn log(
                &mut self,
                kind: ChangeKind,
                app: &AppKey,
                user: Option<&Username>,
                now: i64,
            ) -> Result<(), sqlx::Error> {
                let id: i64 =
                    sqlx::query_scalar("UPDATE accounts_change_head SET id = id + 1 RETURNING id")
                        .fetch_one(&mut *self)
                        .await?;
                sqlx::query(
                    "INSERT INTO accounts_change (id, kind, app_key, username, at)
                     VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(id)
                .bind(kind.as_str())
                .bind(app.as_str())
                .bind(user.map_or("", Username::as_str))
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn changes_after(
                &mut self,
                id: i64,
                limit: i64,
            ) -> Result<Vec<Change>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT id, kind, app_key, username FROM accounts_change
                     WHERE id > $1 ORDER BY id LIMIT $2",
                )
                .bind(id)
                .bind(limit)
                .fetch_all(self)
                .await
            }

            async fn newest_change(&mut self) -> Result<i64, sqlx::Error> {
                sqlx::query_scalar("SELECT id FROM accounts_change_head")
                    .fetch_one(self)
                    .await
            }

            async fn purge_changes(&mut self, before: i64) -> Result<(), sqlx::Error> {
                sqlx::query("DELETE FROM accounts_change WHERE at < $1")
                    .bind(before)
                    .execute(self)
                    .await?;
                Ok(())
            }

            async fn note_forget(
                &mut self,
                app: &AppKey,
                user: Option<&Username>,
                registration: Option<&RegistrationId>,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "INSERT INTO accounts_forget (app_key, username, registration_id)
                     VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                )
                .bind(app.as_str())
                .bind(user.map_or("", Username::as_str))
                .bind(registration.map_or("", RegistrationId::as_str))
                .execute(self)
                .await?;
                Ok(())
            }

            async fn forgettable(&mut self, limit: i64) -> Result<Vec<Forget>, sqlx::Error> {
                sqlx::query_as("SELECT * FROM accounts_forget LIMIT $1")
                    .bind(limit)
                    .fetch_all(self)
                    .await
            }

            async fn forgotten(&mut self, what: &Forget) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "DELETE FROM accounts_forget
                     WHERE app_key = $1 AND username = $2 AND registration_id = $3",
                )
                .bind(what.app.as_str())
                .bind(what.user.as_str())
                .bind(&what.registration)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn is_forgetting(
                &mut self,
                app: &AppKey,
                user: &Username,
            ) -> Result<bool, sqlx::Error> {
                let pending: i64 = sqlx::query_scalar(
                    "SELECT COUNT(*) FROM accounts_forget
                     WHERE app_key = $1 AND username = $2 AND registration_id = ''",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .fetch_one(self)
                .await?;
                Ok(pending > 0)
            }
        }
    };
}

implement!(SqliteConnection);
implement!(PgConnection);
