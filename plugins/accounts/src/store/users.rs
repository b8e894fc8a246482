//! Users.

use async_trait::async_trait;
use partyline_protocol::{AppKey, Username};
use sqlx::{PgConnection, SqliteConnection};

use super::User;

/// Statements on users.
#[async_trait]
pub(crate) trait Users: Send {
    async fn user(&mut self, app: &AppKey, name: &Username) -> Result<Option<User>, sqlx::Error>;

    /// Those of `names`, a JSON array of texts, who exist, and whether they are disabled.
    async fn user_states(
        &mut self,
        app: &AppKey,
        names: &str,
    ) -> Result<Vec<(String, bool)>, sqlx::Error>;

    /// False if the user exists. The app must.
    async fn insert_user(
        &mut self,
        app: &AppKey,
        name: &Username,
        phc: &str,
        now: i64,
    ) -> Result<bool, sqlx::Error>;

    async fn set_disabled(
        &mut self,
        app: &AppKey,
        name: &Username,
        disabled: bool,
    ) -> Result<bool, sqlx::Error>;

    async fn set_password(
        &mut self,
        app: &AppKey,
        name: &Username,
        phc: &str,
    ) -> Result<bool, sqlx::Error>;

    /// Stores the hash of the same password at another cost.
    async fn set_phc(
        &mut self,
        app: &AppKey,
        name: &Username,
        phc: &str,
    ) -> Result<(), sqlx::Error>;

    /// Locks the user until the commit, if they still are who was verified: logins of one user
    /// happen one after the other, so that no two of one class miss each other.
    async fn begin_login(
        &mut self,
        app: &AppKey,
        name: &Username,
        generation: i64,
    ) -> Result<bool, sqlx::Error>;

    /// Locks the user until the commit.
    async fn lock_user(&mut self, app: &AppKey, name: &Username) -> Result<bool, sqlx::Error>;

    /// Deletes the user with tokens and bans.
    async fn delete_user(&mut self, app: &AppKey, name: &Username) -> Result<bool, sqlx::Error>;
}

macro_rules! implement {
    ($connection:ty, states: $states:literal) => {
        #[async_trait]
        impl Users for $connection {
            async fn user(
                &mut self,
                app: &AppKey,
                name: &Username,
            ) -> Result<Option<User>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT password_phc, generation, disabled FROM accounts_user
                     WHERE app_key = $1 AND username = $2",
                )
                .bind(app.as_str())
                .bind(name.as_str())
                .fetch_optional(self)
                .await
            }

            async fn user_states(
                &mut self,
                app: &AppKey,
                names: &str,
            ) -> Result<Vec<(String, bool)>, sqlx::Error> {
                sqlx::query_as($states).bind(app.as_str()).bind(names).fetch_all(self).await
            }

            async fn insert_user(
                &mut self,
                app: &AppKey,
                name: &Username,
                phc: &str,
                now: i64,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "INSERT INTO accounts_user
                     (app_key, username, password_phc, generation, logins, disabled, created_at)
                     VALUES ($1, $2, $3, $4, 0, FALSE, $4)
                     ON CONFLICT (app_key, username) DO NOTHING",
                )
                .bind(app.as_str())
                .bind(name.as_str())
                .bind(phc)
                .bind(now)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn set_disabled(
                &mut self,
                app: &AppKey,
                name: &Username,
                disabled: bool,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_user SET disabled = $3 WHERE app_key = $1 AND username = $2",
                )
                .bind(app.as_str())
                .bind(name.as_str())
                .bind(disabled)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn set_password(
                &mut self,
                app: &AppKey,
                name: &Username,
                phc: &str,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_user SET password_phc = $3, generation = generation + 1
                     WHERE app_key = $1 AND username = $2",
                )
                .bind(app.as_str())
                .bind(name.as_str())
                .bind(phc)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn set_phc(
                &mut self,
                app: &AppKey,
                name: &Username,
                phc: &str,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "UPDATE accounts_user SET password_phc = $3
                     WHERE app_key = $1 AND username = $2",
                )
                .bind(app.as_str())
                .bind(name.as_str())
                .bind(phc)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn begin_login(
                &mut self,
                app: &AppKey,
                name: &Username,
                generation: i64,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_user SET logins = logins + 1
                     WHERE app_key = $1 AND username = $2 AND generation = $3 AND NOT disabled",
                )
                .bind(app.as_str())
                .bind(name.as_str())
                .bind(generation)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn lock_user(
                &mut self,
                app: &AppKey,
                name: &Username,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_user SET logins = logins
                     WHERE app_key = $1 AND username = $2",
                )
                .bind(app.as_str())
                .bind(name.as_str())
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn delete_user(
                &mut self,
                app: &AppKey,
                name: &Username,
            ) -> Result<bool, sqlx::Error> {
                let done =
                    sqlx::query("DELETE FROM accounts_user WHERE app_key = $1 AND username = $2")
                        .bind(app.as_str())
                        .bind(name.as_str())
                        .execute(self)
                        .await?;
                Ok(done.rows_affected() > 0)
            }
        }
    };
}

implement!(
    SqliteConnection,
    states: "SELECT username, disabled FROM accounts_user
             WHERE app_key = $1 AND username IN (SELECT value FROM json_each($2))"
);
implement!(
    PgConnection,
    states: "SELECT username, disabled FROM accounts_user
             WHERE app_key = $1 AND username IN (SELECT json_array_elements_text($2::json))"
);
