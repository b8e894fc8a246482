//! The seam, tied to the statements.

use async_trait::async_trait;
use partyline_protocol::{
    AppKey, ClientMessageId, Conversation, Epoch, Member, MessageId, RegistrationId,
};

use super::model::{
    Batch, HeadsPage, ItemsPage, Kept, KnownSend, Opened, Place, Placed, Range, Start, StreamId,
    Swept,
};
use super::{DbStore, Result, Store};
use super::{forget, heads, items, known, place, send, sweep};

#[async_trait]
impl Store for DbStore {
    async fn commit(&self, batch: &Batch<'_>) -> Result<Vec<Placed>> {
        self.database.write(send::Job(*batch)).await
    }

    async fn known(&self, sends: &[(Member, ClientMessageId)]) -> Result<Vec<KnownSend>> {
        known::known(&self.pool, sends).await
    }

    async fn place(&self, user: &Member) -> Result<Option<Place>> {
        place::place(&self.pool, user).await
    }

    async fn ensure_place(&self, user: &Member, fresh: &Epoch) -> Result<Place> {
        match place::place(&self.pool, user).await? {
            Some(place) => Ok(place),
            None => self.database.write(place::Make { user, fresh }).await,
        }
    }

    async fn open(
        &self,
        user: &Member,
        device: &RegistrationId,
        start: Start,
        fresh: &Epoch,
    ) -> Result<Opened> {
        if start != Start::OldestAgain
            && let Some(opened) = place::opened(&self.pool, user, device).await?
        {
            return Ok(opened);
        }
        self.database
            .write(place::Open {
                user,
                device,
                start,
                fresh,
            })
            .await
    }

    async fn items(
        &self,
        stream: StreamId,
        range: Range,
        kept: Kept,
        limit: u32,
    ) -> Result<ItemsPage> {
        items::items(&self.pool, stream, range, kept, limit).await
    }

    async fn heads(
        &self,
        user: &Member,
        after: Option<&Conversation>,
        kept: Kept,
        limit: u32,
    ) -> Result<HeadsPage> {
        heads::heads(&self.pool, user, after, kept, limit).await
    }

    async fn highest_message(&self) -> Result<MessageId> {
        known::highest(&self.pool).await
    }

    async fn forget_user(&self, user: &Member) -> Result<()> {
        forget::user(&self.database, &self.pool, user).await
    }

    async fn forget_device(&self, user: &Member, device: &RegistrationId) -> Result<()> {
        self.database.write(forget::Device { user, device }).await
    }

    async fn forget_app(&self, app: &AppKey) -> Result<()> {
        forget::app(&self.database, &self.pool, app).await
    }

    async fn sweep_items(&self, after: StreamId, before_ms: u64, limit: u32) -> Result<Swept> {
        sweep::items(&self.database, &self.pool, after, before_ms, limit).await
    }

    async fn sweep_messages(&self, below: MessageId, limit: u32) -> Result<u64> {
        sweep::messages(&self.database, &self.pool, below, limit).await
    }
}
