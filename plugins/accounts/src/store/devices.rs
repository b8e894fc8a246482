//! Devices.

use async_trait::async_trait;
use partyline_protocol::{AppKey, ClientId, Platform, RegistrationId, Username};
use sqlx::{PgConnection, SqliteConnection};

use super::{Device, PlaceOwner, UserDevice};
use crate::secret::SecretHash;

/// Statements on devices.
#[async_trait]
pub(crate) trait Devices: Send {
    async fn device(
        &mut self,
        app: &AppKey,
        owner: &PlaceOwner,
        client_id: &ClientId,
    ) -> Result<Option<Device>, sqlx::Error>;

    async fn device_by_registration(
        &mut self,
        app: &AppKey,
        registration: &RegistrationId,
    ) -> Result<Option<Device>, sqlx::Error>;

    /// False if there is one in this place.
    async fn insert_device(&mut self, device: &Device) -> Result<bool, sqlx::Error>;

    /// Locks a device whose secret may be replaced until the commit; false if it is no longer as
    /// it was read.
    async fn lock_replaceable(
        &mut self,
        registration: &RegistrationId,
        secret: &SecretHash,
    ) -> Result<bool, sqlx::Error>;

    /// It came with its secret: the secret stays, and so does the device if it may. False if the
    /// secret is no longer its own.
    async fn came_back(
        &mut self,
        registration: &RegistrationId,
        secret: &SecretHash,
        now: i64,
    ) -> Result<bool, sqlx::Error>;

    /// False if the device is gone.
    async fn set_platform(
        &mut self,
        registration: &RegistrationId,
        platform: Platform,
        now: i64,
    ) -> Result<bool, sqlx::Error>;

    async fn seen(&mut self, registration: &RegistrationId, at: i64) -> Result<(), sqlx::Error>;

    /// Devices from this address that proved neither a secret twice nor a user.
    async fn count_passing(&mut self, address: &str) -> Result<i64, sqlx::Error>;

    /// The devices in the user's client-id space and those the user is logged in on.
    async fn user_devices(
        &mut self,
        app: &AppKey,
        user: &Username,
    ) -> Result<Vec<UserDevice>, sqlx::Error>;

    /// Up to `limit` devices that never came back and were not seen since `before`.
    async fn stale_devices(&mut self, before: i64, limit: i64) -> Result<Vec<Device>, sqlx::Error>;

    /// Deletes the device with its tokens.
    async fn delete_device(&mut self, registration: &RegistrationId) -> Result<bool, sqlx::Error>;

    /// Deletes the devices in the user's client-id space.
    async fn delete_owned(&mut self, app: &AppKey, user: &Username) -> Result<(), sqlx::Error>;
}

macro_rules! implement {
    ($connection:ty) => {
        #[async_trait]
        impl Devices for $connection {
            async fn device(
                &mut self,
                app: &AppKey,
                owner: &PlaceOwner,
                client_id: &ClientId,
            ) -> Result<Option<Device>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT * FROM accounts_device
                     WHERE app_key = $1 AND owner = $2 AND client_id = $3",
                )
                .bind(app.as_str())
                .bind(owner.as_str())
                .bind(client_id.as_str())
                .fetch_optional(self)
                .await
            }

            async fn device_by_registration(
                &mut self,
                app: &AppKey,
                registration: &RegistrationId,
            ) -> Result<Option<Device>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT * FROM accounts_device WHERE registration_id = $1 AND app_key = $2",
                )
                .bind(registration.as_str())
                .bind(app.as_str())
                .fetch_optional(self)
                .await
            }

            async fn insert_device(&mut self, device: &Device) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "INSERT INTO accounts_device
                     (registration_id, app_key, owner, client_id, secret_hash, replaceable,
                      assigned, lasting, platform, address, first_seen, last_seen)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                     ON CONFLICT (app_key, owner, client_id) DO NOTHING",
                )
                .bind(device.registration.as_str())
                .bind(device.app.as_str())
                .bind(device.owner.as_str())
                .bind(device.client_id.as_str())
                .bind(&device.secret)
                .bind(device.replaceable)
                .bind(device.assigned)
                .bind(device.lasting)
                .bind(&device.platform)
                .bind(&device.address)
                .bind(device.first_seen)
                .bind(device.last_seen)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn lock_replaceable(
                &mut self,
                registration: &RegistrationId,
                secret: &SecretHash,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_device SET replaceable = replaceable
                     WHERE registration_id = $1 AND secret_hash = $2 AND replaceable",
                )
                .bind(registration.as_str())
                .bind(secret)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn came_back(
                &mut self,
                registration: &RegistrationId,
                secret: &SecretHash,
                now: i64,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_device
                     SET replaceable = FALSE, lasting = NOT assigned, last_seen = $3
                     WHERE registration_id = $1 AND secret_hash = $2",
                )
                .bind(registration.as_str())
                .bind(secret)
                .bind(now)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn set_platform(
                &mut self,
                registration: &RegistrationId,
                platform: Platform,
                now: i64,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query(
                    "UPDATE accounts_device SET platform = $2, last_seen = $3
                     WHERE registration_id = $1",
                )
                .bind(registration.as_str())
                .bind(platform.as_str())
                .bind(now)
                .execute(self)
                .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn seen(
                &mut self,
                registration: &RegistrationId,
                at: i64,
            ) -> Result<(), sqlx::Error> {
                sqlx::query(
                    "UPDATE accounts_device SET last_seen = $2
                     WHERE registration_id = $1 AND last_seen < $2",
                )
                .bind(registration.as_str())
                .bind(at)
                .execute(self)
                .await?;
                Ok(())
            }

            async fn count_passing(&mut self, address: &str) -> Result<i64, sqlx::Error> {
                sqlx::query_scalar(
                    "SELECT COUNT(*) FROM accounts_device
                     WHERE address = $1 AND NOT lasting AND owner = ''",
                )
                .bind(address)
                .fetch_one(self)
                .await
            }

            async fn user_devices(
                &mut self,
                app: &AppKey,
                user: &Username,
            ) -> Result<Vec<UserDevice>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT d.*, t.hash IS NOT NULL AS logged_in
                     FROM accounts_device d
                     LEFT JOIN accounts_token t ON t.registration_id = d.registration_id
                         AND t.app_key = $1 AND t.username = $2 AND t.revoked_at IS NULL
                     WHERE d.app_key = $1 AND (d.owner = $2 OR d.registration_id IN (
                         SELECT registration_id FROM accounts_token
                         WHERE app_key = $1 AND username = $2 AND revoked_at IS NULL))
                     ORDER BY d.last_seen, d.registration_id",
                )
                .bind(app.as_str())
                .bind(user.as_str())
                .fetch_all(self)
                .await
            }

            async fn stale_devices(
                &mut self,
                before: i64,
                limit: i64,
            ) -> Result<Vec<Device>, sqlx::Error> {
                sqlx::query_as(
                    "SELECT * FROM accounts_device d
                     WHERE NOT lasting AND last_seen < $1 AND (assigned OR NOT EXISTS (
                         SELECT 1 FROM accounts_token t
                         WHERE t.registration_id = d.registration_id AND t.revoked_at IS NULL))
                     ORDER BY last_seen LIMIT $2",
                )
                .bind(before)
                .bind(limit)
                .fetch_all(self)
                .await
            }

            async fn delete_device(
                &mut self,
                registration: &RegistrationId,
            ) -> Result<bool, sqlx::Error> {
                let done = sqlx::query("DELETE FROM accounts_device WHERE registration_id = $1")
                    .bind(registration.as_str())
                    .execute(self)
                    .await?;
                Ok(done.rows_affected() > 0)
            }

            async fn delete_owned(
                &mut self,
                app: &AppKey,
                user: &Username,
            ) -> Result<(), sqlx::Error> {
                sqlx::query("DELETE FROM accounts_device WHERE app_key = $1 AND owner = $2")
                    .bind(app.as_str())
                    .bind(user.as_str())
                    .execute(self)
                    .await?;
                Ok(())
            }
        }
    };
}

implement!(SqliteConnection);
implement!(PgConnection);
