//! The store: one suite for both databases.

mod cursors;
mod forgetting;
mod numbers;
mod retention;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use partyline_im::ConversationKey;
use partyline_im::store::{
    Batch, CursorMove, Kept, NewMessage, Placed, Range, Store, StoredContent, StoredItem, StreamId,
};
use partyline_plugin::database::Database;
use partyline_plugin::sqlx;
use partyline_protocol::{
    ClientMessageId, Epoch, JsonObject, Member, MessageId, MessageType, RegistrationId, Seq,
    TargetType,
};

/// Everything.
const ALL: Kept = Kept {
    per_conversation: u32::MAX,
    since_ms: 0,
};

/// The store, with shorthands.
struct Subject {
    store: Arc<dyn Store>,
    next_id: AtomicU64,
}

impl Subject {
    fn new(database: &Database) -> Self {
        Self {
            store: partyline_im::store::open(database),
            next_id: AtomicU64::new(1),
        }
    }

    /// A message that nobody sent before.
    fn message(&self, from: &Member, to: &Member) -> NewMessage {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        message(id, from, to)
    }

    async fn commit(&self, messages: &[NewMessage]) -> Vec<Placed> {
        self.try_commit(messages, &[]).await.unwrap()
    }

    async fn try_commit(
        &self,
        messages: &[NewMessage],
        cursors: &[CursorMove],
    ) -> sqlx::Result<Vec<Placed>> {
        let fresh = fresh();
        self.store
            .commit(&Batch {
                messages,
                cursors,
                fresh: &fresh,
            })
            .await
    }

    async fn stream(&self, user: &Member) -> StreamId {
        self.store.place(user).await.unwrap().unwrap().stream
    }

    async fn items(&self, user: &Member, kept: Kept) -> Vec<StoredItem> {
        let place = self.store.place(user).await.unwrap().unwrap();
        let range = Range {
            after: Seq::ZERO,
            upto: place.head,
        };
        self.store
            .items(place.stream, range, kept, 100_000)
            .await
            .unwrap()
            .items
    }
}

fn message(id: u64, from: &Member, to: &Member) -> NewMessage {
    let mut receivers = vec![from.clone()];
    if from != to {
        receivers.push(to.clone());
    }
    NewMessage {
        id: MessageId::parse(id).unwrap(),
        sender: from.clone(),
        client_msg_id: ClientMessageId::parse(format!("c{id}")).unwrap(),
        content_hash: [7; 32],
        conversation: ConversationKey::between(from, to),
        receivers,
        at_ms: id,
        expire_at: None,
        no_offline: false,
        content: StoredContent {
            target_type: TargetType::Single,
            target_id: to.username.as_str().to_owned(),
            msg_type: MessageType::Text,
            msg_body: JsonObject::parse(r#"{"text":"it's \"a\" \u0000 \\ 你好"}"#).unwrap(),
            no_notification: false,
            notification: None,
            need_receipt: false,
            at: None,
        },
    }
}

fn fresh() -> Epoch {
    Epoch::parse(format!("{:x}", rand::random::<u64>())).unwrap()
}

fn device(name: &str) -> RegistrationId {
    RegistrationId::parse(name).unwrap()
}

fn seq(number: u64) -> Seq {
    Seq::parse(number).unwrap()
}

fn seqs(items: &[StoredItem]) -> Vec<u64> {
    items.iter().map(|item| item.seq.get()).collect()
}
