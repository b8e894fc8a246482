//! The service that other plugins ask about streams.

use std::sync::Arc;

use partyline_plugin::async_trait;
use partyline_plugin::services::{ServiceError, StreamPlace, Streams};
use partyline_protocol::{AppKey, Member, RegistrationId, Username};

use crate::delivery::{Deliveries, fresh_epoch};
use crate::directory::Directory;
use crate::store::{Batch, Store};

pub(crate) struct StreamService {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) directory: Arc<Directory>,
}

fn member(app: &AppKey, user: &Username) -> Member {
    Member {
        appkey: app.clone(),
        username: user.clone(),
    }
}

#[async_trait]
impl Streams for StreamService {
    async fn place(&self, app: &AppKey, user: &Username) -> Result<StreamPlace, ServiceError> {
        let place = self
            .store
            .ensure_place(&member(app, user), &fresh_epoch())
            .await?;
        Ok(StreamPlace {
            epoch: place.epoch,
            head: place.head,
        })
    }

    async fn forget_user(&self, app: &AppKey, user: &Username) -> Result<(), ServiceError> {
        let user = member(app, user);
        self.directory.forget_user(&user).await;
        self.deliveries.forget_user(&user);
        Ok(self.store.forget_user(&user).await?)
    }

    async fn forget_device(
        &self,
        app: &AppKey,
        user: &Username,
        device: &RegistrationId,
    ) -> Result<(), ServiceError> {
        let user = member(app, user);
        // What the device acknowledged a moment ago counts as well.
        if let Some(place) = self.store.place(&user).await?
            && let Some(moved) = self.deliveries.cursors.under_way(place.stream, device)
        {
            let batch = Batch {
                messages: &[],
                cursors: &[moved],
                fresh: &fresh_epoch(),
            };
            self.store.commit(&batch).await?;
        }
        Ok(self.store.forget_device(&user, device).await?)
    }

    async fn forget_app(&self, app: &AppKey) -> Result<(), ServiceError> {
        self.directory.forget_app(app).await;
        self.deliveries.forget_app(app);
        Ok(self.store.forget_app(app).await?)
    }
}
