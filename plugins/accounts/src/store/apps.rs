//! Apps and the developer who has them.

use async_trait::async_trait;
use partyline_protocol::AppKey;
use sqlx::{PgConnection, SqliteConnection};

use super::App;
use crate::Registration;
use crate::secret::SecretHash;

/// Statements on apps.
#[async_trait]
pub(crate) trait Apps: Send {
    async fn app(&mut self, key: &AppKey) -> Result<Option<App>, sqlx::Error>;

    /// All apps, oldest first.
    async fn apps(&mut self) -> Result<Vec<App>, sqlx::Error>;

    /// False if another app has the name.
    async fn insert_app(&mut self, app: &App) -> Result<bool, sqlx::Error>;

    async fn set_master(&mut self, key: &AppKey, hash: &SecretHash) -> Result<bool, sqlx::Error>;

    async fn set_registration(
        &mut self,
        key: &AppKey,
        registration: Registration,
        token: Option<&SecretHash>,
    ) -> Result<bool, sqlx::Error>;

    /// Deletes the app and all that is in it.
    async fn delete_app(&mut self, key: &AppKey) -> Result<bool, sqlx::Error>;

    /// False if there is a developer account already, by whatever name.
    async fn insert_developer(
        &mut self,
        name: &str,
        secret: &SecretHash,
        now: i64,
    ) -> Result<bool, sqlx::Error>;
}

macro_rules! implement {
    ($connection:ty) => {
        #[async_trait]
        impl Apps for $connection {
            async fn app(&mut self, key: &AppKey) -> Result<Option<App>, sqlx::Error> {
                sqlx::query_as("SELECT * FROM accounts_app WHERE app_key = $1")
                    .bind(key.as_str())
                    .fetch_optional(self)
                    .await
            }

            async fn apps(&mut self) -> Result<Vec<App>, sqlx::Error> {
                sqlx::query_as("SELECT * FROM accounts_app ORDER BY created_at, app_key")
                    .fetch_all(self)
                    .await
            }

            async fn insert_app(&mut self, app: &App) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "INSERT INTO accounts_app
                     (app_key, name, master_hash, registration, registration_hash, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING",
                )
                .bind(app.key.as_str())
                .bind(&app.name)
                .bind(&app.master)
                .bind(app.registration.as_str())
                .bind(&app.registration_token)
                .bind(app.created_at)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn set_master(
                &mut self,
                key: &AppKey,
                hash: &SecretHash,
            ) -> Result<bool, sqlx::Error> {
                let done =
                    sqlx::query("UPDATE accounts_app SET master_hash = $2 WHERE app_key = $1")
                        .bind(key.as_str())
                        .bind(hash)
                        .execute(self)
                        .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn set_registration(
                &mut self,
                key: &AppKey,
                registration: Registration,
                token: Option<&SecretHash>,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_app SET registration = $2, registration_hash = $3
                     WHERE app_key = $1",
                )
                .bind(key.as_str())
                .bind(registration.as_str())
                .bind(token)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn delete_app(&mut self, key: &AppKey) -> Result<bool, sqlx::Error> {
                let done = sqlx::query("DELETE FROM accounts_app WHERE app_key = $1")
                    .bind(key.as_str())
                    .execute(self)
                    .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn insert_developer(
                &mut self,
                name: &str,
                secret: &SecretHash,
                now: i64,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "INSERT INTO accounts_developer (name, secret_hash, created_at)
                     SELECT $1, $2, $3 WHERE NOT EXISTS (SELECT 1 FROM accounts_developer)
                     ON CONFLICT (name) DO NOTHING",
                )
                .bind(name)
                .bind(secret)
                .bind(now)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }
        }
    };
}

implement!(SqliteConnection);
implement!(PgConnection);
