//! Where a user's stream stands; provided by the plugin that keeps the streams.

use async_trait::async_trait;
use partyline_protocol::{AppKey, Epoch, RegistrationId, Seq, Username};

use super::ServiceError;

/// A place in a user's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlace {
    /// Changes when the stream is reset.
    pub epoch: Epoch,
    /// The newest item's number; 0 when there is none.
    pub head: Seq,
}

/// The users' streams.
#[async_trait]
pub trait Streams: Send + Sync + 'static {
    /// Where the user's stream stands.
    async fn place(&self, app: &AppKey, user: &Username) -> Result<StreamPlace, ServiceError>;

    /// The user is deleted: the stream, its cursors and its items go.
    async fn forget_user(&self, app: &AppKey, user: &Username) -> Result<(), ServiceError>;

    /// The device is gone for good: its cursor goes, what it acknowledged still counts.
    async fn forget_device(
        &self,
        app: &AppKey,
        user: &Username,
        device: &RegistrationId,
    ) -> Result<(), ServiceError>;

    /// The app is deleted: everything in it goes.
    async fn forget_app(&self, app: &AppKey) -> Result<(), ServiceError>;
}
