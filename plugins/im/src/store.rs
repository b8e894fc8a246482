//! What the plugin keeps: conversations, messages, streams, cursors.
//!
//! [`Store`] is the seam. Its two implementations share one text: the files of `store/statements`
//! are compiled once for SQLite and once for PostgreSQL, whose dialects differ only in how a list
//! of rows is passed to a statement. Rows locked by one transaction are locked in one order:
//! conversations by name, then streams by app and username, then cursors.

mod column;
mod model;
mod open;
mod postgres;
mod rows;
mod sqlite;

use async_trait::async_trait;
use partyline_protocol::{
    AppKey, ClientMessageId, Conversation, Epoch, Member, MessageId, RegistrationId,
};

pub(crate) use model::hash_digits;
pub use model::{
    Batch, ConversationHead, CursorMove, HeadsPage, ItemsPage, Kept, KnownSend, NewMessage, Opened,
    Place, Placed, Range, Start, StoredContent, StoredItem, StreamId, Swept,
};
pub use open::open;

/// A failure of the database. The caller decides what of it is said to whom.
pub type Result<T, E = partyline_plugin::sqlx::Error> = std::result::Result<T, E>;

/// The plugin's tables. Every method that writes is one transaction, on disk when it returns,
/// unless it says otherwise.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Stores messages and moves cursors in one transaction with a fixed number of statements.
    /// The answer is in the order of the messages; messages of one conversation get their numbers
    /// in that order. All of it fails together.
    async fn commit(&self, batch: &Batch<'_>) -> Result<Vec<Placed>>;

    /// The sends among these that were stored before.
    async fn known(&self, sends: &[(Member, ClientMessageId)]) -> Result<Vec<KnownSend>>;

    /// Where a user's stream stands; `None` if the user has none yet.
    async fn place(&self, user: &Member) -> Result<Option<Place>>;

    /// Where a user's stream stands; `fresh` names the life of one that has to be made.
    async fn ensure_place(&self, user: &Member, fresh: &Epoch) -> Result<Place>;

    /// Where a device is in its user's stream. A device seen for the first time gets its starting
    /// place stored, so that what is sent to it later can't be skipped; writes only then.
    async fn open(
        &self,
        user: &Member,
        device: &RegistrationId,
        start: Start,
        fresh: &Epoch,
    ) -> Result<Opened>;

    /// The items of a stream within a range, oldest first, at most `limit`; what retention hides
    /// is left out, and so is a row that can't be read: it must not block what follows.
    async fn items(
        &self,
        stream: StreamId,
        range: Range,
        kept: Kept,
        limit: u32,
    ) -> Result<ItemsPage>;

    /// A page of the user's conversations, in the order of their first messages to the user.
    async fn heads(
        &self,
        user: &Member,
        after: Option<&Conversation>,
        kept: Kept,
        limit: u32,
    ) -> Result<HeadsPage>;

    /// The highest message number ever stored; 0 if none was.
    async fn highest_message(&self) -> Result<MessageId>;

    /// Removes a user's stream. What the user sent stays with the others, but no repetition of
    /// its sends is known any more. Several small transactions; can be repeated when cut short.
    async fn forget_user(&self, user: &Member) -> Result<()>;

    /// Removes a device's cursor; what it acknowledged still counts.
    async fn forget_device(&self, user: &Member, device: &RegistrationId) -> Result<()>;

    /// Removes all that belongs to an app. Several small transactions; can be repeated when cut
    /// short.
    async fn forget_app(&self, app: &AppKey) -> Result<()>;

    /// Removes items accepted before `before_ms` from up to `limit` streams behind `after`, and
    /// raises those streams' floors, in one transaction of bounded size: where more is to be
    /// removed than it may hold, the answer names a place from which to go on.
    async fn sweep_items(&self, after: StreamId, before_ms: u64, limit: u32) -> Result<Swept>;

    /// Removes up to `limit` messages numbered below `below`; says how many.
    async fn sweep_messages(&self, below: MessageId, limit: u32) -> Result<u64>;
}
