//! Kicks that were carried out, so that a repeated request doesn't kick again.

use async_trait::async_trait;
use partyline_protocol::{RegistrationId, Username};
use sqlx::{PgConnection, SqliteConnection};

/// A request to kick. The same id with another target is another request.
#[derive(Debug)]
pub(crate) struct KickRequest<'a> {
    /// The device that it came from.
    pub(crate) device: &'a RegistrationId,
    /// The request's id.
    pub(crate) id: String,
    /// The user who asked.
    pub(crate) user: &'a Username,
    /// The device to kick.
    pub(crate) target: &'a RegistrationId,
}

/// Statements on kicks.
#[async_trait]
pub(crate) trait Kicks: Send {
    async fn has_kicked(&mut self, request: &KickRequest<'_>) -> Result<bool, sqlx::Error>;

    async fn note_kick(&mut self, request: &KickRequest<'_>, now: i64) -> Result<(), sqlx::Error>;

    async fn purge_kicks(&mut self, before: i64) -> Result<(), sqlx::Error>;
}

macro_rules! implement {
    ($connection:ty) => {
        #[async_trait]
        impl Kicks for $connection {
            async fn has_kicked(&mut self, request: &KickRequest<'_>) -> Result<bool, sqlx::Error> {
                let found: i64 = sqlx::query_scalar(
                    "SELECT COUNT(*) FROM accounts_kick
                     WHERE registration_id = $1 AND request_id = $2 AND username = $3
                         AND target_id = $4",
                )
                .bind(request.device.as_str())
                .bind(&request.id)
                .bind(request.user.as_str())
                .bind(request.target.as_str())
                .fetch_one(self)
                .await?;
                Ok(found > 0)
            }

            async fn note_kick(
                &mut self,
                request: &KickRequest<'_>,
                now: i64,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "INSERT INTO accounts_kick
                     (registration_id, request_id, username, target_id, at)
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
                )
                .bind(request.device.as_str())
                .bind(&request.id)
                .bind(request.user.as_str())
                .bind(request.target.as_str())
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn purge_kicks(&mut self, before: i64) -> Result<(), sqlx::Error> {
                sqlx::query("DELETE FROM accounts_kick WHERE at < $1")
                    .bind(before)
                    .execute(self)
                    .await?;
                Ok(())
            }
        }
    };
}

implement!(SqliteConnection);
implement!(PgConnection);
