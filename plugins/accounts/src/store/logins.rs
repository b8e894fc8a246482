//! Logins, which are tokens that have not been revoked, and bans.

use async_trait::async_trait;
use partyline_protocol::{AppKey, ClientId, RegistrationId, Username};
use sqlx::{PgConnection, SqliteConnection};

use super::{ActiveLogin, Token};
use crate::ban::Ban;
use crate::secret::SecretHash;

/// Statements on logins and bans.
#[async_trait]
pub(crate) trait Logins: Send {
    /// The token with its device, its user and the ban, if any.
    async fn token(&mut self, hash: &SecretHash) -> Result<Option<Token>, sqlx::Error>;

    /// Where the user is logged in; nowhere if disabled.
    async fn active_logins(
        &mut self,
        app: &AppKey,
        user: &Username,
    ) -> Result<Vec<ActiveLogin>, sqlx::Error>;

    async fn insert_token(
        &mut self,
        hash: &SecretHash,
        app: &AppKey,
        user: &Username,
        registration: &RegistrationId,
        now: i64,
    ) -> Result<(), sqlx::Error>;

    /// Ends whatever login the device had, and forgets those that were revoked.
    async fn delete_tokens(&mut self, registration: &RegistrationId) -> Result<(), sqlx::Error>;

    /// False if the user was not logged in on the device.
    async fn revoke(
        &mut self,
        app: &AppKey,
        user: &Username,
        registration: &RegistrationId,
        now: i64,
    ) -> Result<bool, sqlx::Error>;

    async fn revoke_all(
        &mut self,
        app: &AppKey,
        user: &Username,
        now: i64,
    ) -> Result<(), sqlx::Error>;

    /// Whether a user is logged in on the device.
    async fn has_login(&mut self, registration: &RegistrationId) -> Result<bool, sqlx::Error>;

    /// Who is logged in on the device, or was within a day.
    async fn users_on(&mut self, registration: &RegistrationId)
    -> Result<Vec<String>, sqlx::Error>;

    async fn ban(
        &mut self,
        app: &AppKey,
        user: &Username,
        client_id: &ClientId,
    ) -> Result<Option<Ban>, sqlx::Error>;

    async fn set_ban(
        &mut self,
        app: &AppKey,
        user: &Username,
        client_id: &ClientId,
        ban: Ban,
    ) -> Result<(), sqlx::Error>;

    async fn clear_ban(
        &mut self,
        app: &AppKey,
        user: &Username,
        client_id: &ClientId,
    ) -> Result<(), sqlx::Error>;

    /// Forgets tokens revoked and bans ended before `before`.
    async fn purge_logins(&mut self, before: i64) -> Result<(), sqlx::Error>;
}

macro_rules! implement {
    ($connection:ty) => {
        #[async_trait]
        impl Logins for $connection {
            async fn token(&mut self, hash: &SecretHash) -> Result<Option<Token>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT d.*, t.username, t.revoked_at IS NOT NULL AS revoked,
                         u.disabled, u.generation, b.until_at, b.last_ms
                     FROM accounts_token t
                     JOIN accounts_device d ON d.registration_id = t.registration_id
                     JOIN accounts_user u ON u.app_key = t.app_key AND u.username = t.username
                     LEFT JOIN accounts_ban b ON b.app_key = t.app_key
                         AND b.username = t.username AND b.client_id = d.client_id
                     WHERE t.hash = $1",
                )
                .bind(hash)
                .fetch_optional(self)
                .await
            }

            async fn active_logins(
                &mut self,
                app: &AppKey,
                user: &Username,
            ) -> Result<Vec<ActiveLogin>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT d.registration_id, d.client_id, d.platform, d.assigned
                     FROM accounts_token t
                     JOIN accounts_device d ON d.registration_id = t.registration_id
                     JOIN accounts_user u ON u.app_key = t.app_key AND u.username = t.username
                     WHERE t.app_key = $1 AND t.username = $2 AND t.revoked_at IS NULL
                         AND NOT u.disabled
                     ORDER BY t.created_at",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .fetch_all(self)
                .await
            }

            async fn insert_token(
                &mut self,
                hash: &SecretHash,
                app: &AppKey,
                user: &Username,
                registration: &RegistrationId,
                now: i64,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "INSERT INTO accounts_token
                     (hash, app_key, username, registration_id, created_at)
                     VALUES ($1, $2, $3, $4, $5)",
                )
                .bind(hash)
                .bind(app.as_str())
                .bind(user.as_str())
                .bind(registration.as_str())
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn delete_tokens(
                &mut self,
                registration: &RegistrationId,
            ) -> Result<(), sqlx::Error> {
                sqlx::query("DELETE FROM accounts_token WHERE registration_id = $1")
                    .bind(registration.as_str())
                    .execute(self)
                    .await?;
                Ok(())
            }

            async fn revoke(
                &mut self,
                app: &AppKey,
                user: &Username,
                registration: &RegistrationId,
                now: i64,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_token SET revoked_at = $4 WHERE app_key = $1
                     AND username = $2 AND registration_id = $3 AND revoked_at IS NULL",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .bind(registration.as_str())
                .bind(now)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn revoke_all(
                &mut self,
                app: &AppKey,
                user: &Username,
                now: i64,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "UPDATE accounts_token SET revoked_at = $3
                     WHERE app_key = $1 AND username = $2 AND revoked_at IS NULL",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .bind(now)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn has_login(
                &mut self,
                registration: &RegistrationId,
            ) -> Result<bool, sqlx::Error> {
                let logins: i64 = sqlx::query_scalar(
                    "SELECT COUNT(*) FROM accounts_token
                     WHERE registration_id = $1 AND revoked_at IS NULL",
                )
                .bind(registration.as_str())
                .fetch_one(self)
                .await?;
                Ok(logins > 0)
            }

            async fn users_on(
                &mut self,
                registration: &RegistrationId,
            ) -> Result<Vec<String>, sqlx::Error> {
                sqlx::query_scalar(
                    "SELECT DISTINCT username FROM accounts_token WHERE registration_id = $1",
                )
                .bind(registration.as_str())
                .fetch_all(self)
                .await
            }

            async fn ban(
                &mut self,
                app: &AppKey,
                user: &Username,
                client_id: &ClientId,
            ) -> Result<Option<Ban>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT until_at, last_ms FROM accounts_ban
                     WHERE app_key = $1 AND username = $2 AND client_id = $3",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .bind(client_id.as_str())
                .fetch_optional(self)
                .await
            }

            async fn set_ban(
                &mut self,
                app: &AppKey,
                user: &Username,
                client_id: &ClientId,
                ban: Ban,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "INSERT INTO accounts_ban (app_key, username, client_id, until_at, last_ms)
                     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (app_key, username, client_id)
                     DO UPDATE SET until_at = EXCLUDED.until_at, last_ms = EXCLUDED.last_ms",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .bind(client_id.as_str())
                .bind(ban.until)
                .bind(ban.last_ms)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn clear_ban(
                &mut self,
                app: &AppKey,
                user: &Username,
                client_id: &ClientId,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "DELETE FROM accounts_ban
                     WHERE app_key = $1 AND username = $2 AND client_id = $3",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .bind(client_id.as_str())
                .execute(self)
                .await?;
                Ok(())
            }

            async fn purge_logins(&mut self, before: i64) -> Result<(), sqlx::Error> {
                sqlx::query("DELETE FROM accounts_token WHERE revoked_at < $1")
                    .bind(before)
                    .execute(&mut *self)
                    .await?;
                sqlx::query("DELETE FROM accounts_ban WHERE until_at < $1")
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
