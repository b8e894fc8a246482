//! One round: known sends are answered, the others checked and stored.

use std::collections::{HashMap, hash_map::Entry};
use std::sync::Arc;

use partyline_protocol::{ErrorCode, RequestError};

use super::{Caller, Collector, Queued, Wanted};
use crate::conversation_key::ConversationKey;
use crate::directory::Presence;
use crate::store::{KnownSend, NewMessage, StoredContent};

impl Collector {
    /// Answers every one of these sends. True if there was something to store.
    pub(super) async fn process(&mut self, queued: Vec<Queued>) -> bool {
        let sends = once_each(queued);
        let keys: Vec<_> = sends.iter().map(|one| one.caller.key()).collect();
        match self.store.known(&keys).await {
            Ok(known) => self.settle(sends, known).await,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "sends not looked up"
                );
                for one in sends {
                    one.caller.refuse(ErrorCode::SendSystemError);
                }
                false
            }
        }
    }

    async fn settle(&mut self, sends: Vec<Queued>, known: Vec<KnownSend>) -> bool {
        let mut known: HashMap<_, _> = known
            .into_iter()
            .map(|known| ((known.sender.clone(), known.client_msg_id.clone()), known))
            .collect();
        // Before any limit or check: what was answered once is answered the same way again.
        let mut new = Vec::with_capacity(sends.len());
        for one in sends {
            match (known.remove(&one.caller.key()), one.request) {
                (Some(known), _) => self.answer_known(one.caller, &known),
                (None, Ok(wanted)) => new.push((one.caller, wanted)),
                (None, Err(error)) => one.caller.refuse(error),
            }
        }
        if new.is_empty() {
            return false;
        }
        // Whoever deletes a user waits for what was decided before, and removes it too.
        let directory = Arc::clone(&self.directory);
        let _deciding = directory.deciding();
        let now_ms = crate::now_ms(&self.clock);
        let users = new
            .iter()
            .flat_map(|(caller, wanted)| [caller.sender.clone(), wanted.target.clone()]);
        let found = directory.find(users.collect(), now_ms).await;
        let mut messages = Vec::with_capacity(new.len());
        let mut callers = Vec::with_capacity(new.len());
        for (caller, wanted) in new {
            let (sender, target) = (found.of(&caller.sender), found.of(&wanted.target));
            let refusal = if sender == Presence::Unknown || target == Presence::Unknown {
                Some(ErrorCode::SendSystemError.into())
            } else if sender == Presence::Absent {
                Some(ErrorCode::UserNotExist.into())
            } else if !self.rates.take(&caller.sender, now_ms) {
                Some(self.too_often())
            } else if target == Presence::Absent {
                // Counted: or the limit would not hold for whoever tries out names.
                Some(ErrorCode::TargetUserNotExist.into())
            } else {
                None
            };
            if let Some(error) = refusal {
                caller.refuse(error);
            } else {
                messages.push(self.accept(&caller, wanted, now_ms));
                callers.push(caller);
            }
        }
        if messages.is_empty() {
            return false;
        }
        self.store_all(messages, callers).await;
        true
    }

    /// The send was stored before, and perhaps not announced: the process may have ended between,
    /// or not have heard of the commit.
    pub(super) fn answer_known(&self, caller: Caller, known: &KnownSend) {
        caller.answer_again(known);
        for member in known.conversation.members() {
            self.deliveries.refresh_line(member);
        }
    }

    fn too_often(&self) -> RequestError {
        let detail = format!("the most is {} sends a minute", self.rates.per_minute());
        RequestError::new(ErrorCode::SendFrequencyLimit).with_detail(detail)
    }

    fn accept(&mut self, caller: &Caller, wanted: Wanted, now_ms: u64) -> NewMessage {
        let Wanted { target, message } = wanted;
        let sender = caller.sender.clone();
        let expire = message
            .expire
            .map(|seconds| now_ms + u64::from(seconds) * 1000);
        let conversation = ConversationKey::between(&sender, &target);
        let mut receivers = vec![sender.clone()];
        if target != sender {
            receivers.push(target);
        }
        NewMessage {
            id: self.ids.next(now_ms),
            sender,
            client_msg_id: caller.client_msg_id.clone(),
            content_hash: caller.content_hash(),
            conversation,
            receivers,
            at_ms: now_ms,
            expire_at: expire,
            no_offline: message.no_offline,
            content: StoredContent::from(message),
        }
    }
}

/// The first call of each send, with its repetitions.
fn once_each(queued: Vec<Queued>) -> Vec<Queued> {
    let mut places = HashMap::with_capacity(queued.len());
    let mut sends: Vec<Queued> = Vec::with_capacity(queued.len());
    for one in queued {
        match places.entry(one.caller.key()) {
            Entry::Vacant(free) => {
                free.insert(sends.len());
                sends.push(one);
            }
            Entry::Occupied(place) => {
                if let Some(first) = sends.get_mut(*place.get()) {
                    first.caller.repeated_by(one.caller);
                }
            }
        }
    }
    sends
}
