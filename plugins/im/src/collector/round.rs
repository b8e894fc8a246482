//! One round: known sends are answered, the others checked and stored.

use std::collections::{HashMap, HashSet};

use partyline_protocol::ErrorCode;

use super::{Collector, Queued};
use crate::conversation_key::ConversationKey;
use crate::store::{KnownSend, NewMessage, StoredContent};

impl Collector {
    /// Answers these sends, but for those that repeat another one of them: they are returned.
    pub(super) async fn round(&mut self, queued: Vec<Queued>) -> Vec<Queued> {
        let mut keys = HashSet::with_capacity(queued.len());
        let (sends, again): (Vec<_>, Vec<_>) =
            queued.into_iter().partition(|one| keys.insert(one.key()));
        let keys: Vec<_> = sends.iter().map(Queued::key).collect();
        match self.store.known(&keys).await {
            Ok(known) => self.settle(sends, known).await,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "sends not looked up"
                );
                for one in sends {
                    one.answer(Err(ErrorCode::SendSystemError.into()));
                }
            }
        }
        again
    }

    async fn settle(&mut self, sends: Vec<Queued>, known: Vec<KnownSend>) {
        let mut known: HashMap<_, _> = known
            .into_iter()
            .map(|known| ((known.sender.clone(), known.client_msg_id.clone()), known))
            .collect();
        // Before any limit or check: what was answered once is answered the same way again.
        let mut new = Vec::with_capacity(sends.len());
        for one in sends {
            match known.remove(&one.key()) {
                Some(known) => one.answer_again(&known),
                None => new.push(one),
            }
        }
        if new.is_empty() {
            return;
        }
        let now_ms = crate::now_ms(&self.clock);
        let targets = new.iter().map(|one| one.target.clone()).collect();
        let found = self.directory.find(targets, now_ms).await;
        let mut messages = Vec::with_capacity(new.len());
        let mut stored = Vec::with_capacity(new.len());
        for one in new {
            let refusal = if found.unknown.contains(&one.target.appkey) {
                Some(ErrorCode::SendSystemError)
            } else if !found.present.contains(&one.target) {
                Some(ErrorCode::TargetUserNotExist)
            } else if !self.rates.take(&one.sender, now_ms) {
                Some(ErrorCode::SendFrequencyLimit)
            } else {
                None
            };
            if let Some(code) = refusal {
                one.answer(Err(code.into()));
            } else {
                messages.push(self.accept(&one, now_ms));
                stored.push(one);
            }
        }
        if !messages.is_empty() {
            self.store_all(messages, stored).await;
        }
    }

    fn accept(&mut self, one: &Queued, now_ms: u64) -> NewMessage {
        let mut receivers = vec![one.sender.clone()];
        if one.target != one.sender {
            receivers.push(one.target.clone());
        }
        let expire = one
            .message
            .expire
            .map(|seconds| now_ms + u64::from(seconds) * 1000);
        NewMessage {
            id: self.ids.next(now_ms),
            sender: one.sender.clone(),
            client_msg_id: one.message.client_msg_id.clone(),
            content_hash: one.content_hash,
            conversation: ConversationKey::between(&one.sender, &one.target),
            receivers,
            at_ms: now_ms,
            expire_at: expire,
            no_offline: one.message.no_offline,
            content: StoredContent::from(one.message.clone()),
        }
    }
}
