//! For which subscriptions a message is delivered.

use std::num::NonZeroU32;
use std::sync::Arc;

use crate::packet::SubscribeOptions;

/// What a message owes to the subscriptions that it is delivered for. `None` in its place stands
/// for plain ones without an identifier, which nearly all are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Their Subscription Identifiers (MQTT 5 §3.3.2.3.8).
    pub(crate) ids: Vec<NonZeroU32>,
}

impl Matched {
    /// Of one subscription.
    pub(crate) fn of(options: &SubscribeOptions) -> Option<Arc<Self>> {
        let ids = Vec::from_iter(options.subscription_id);
        (!ids.is_empty()).then(|| Arc::new(Self { ids }))
    }

    /// Adds what another subscription of the session says of the same message.
    pub(crate) fn merge(into: &mut Option<Arc<Self>>, other: Option<Arc<Self>>) {
        match (into, other) {
            (_, None) => {}
            (Some(into), Some(other)) => {
                let ids = &mut Arc::make_mut(into).ids;
                for id in &other.ids {
                    if !ids.contains(id) {
                        ids.push(*id);
                    }
                }
            }
            (into @ None, other) => *into = other,
        }
    }

    /// The identifiers of a message.
    pub(super) fn ids(matched: Option<&Arc<Self>>) -> &[NonZeroU32] {
        matched.map_or(&[], |matched| &matched.ids)
    }

    /// Bytes that it counts for in a queue.
    pub(super) fn weight(matched: Option<&Arc<Self>>) -> usize {
        size_of_val(Self::ids(matched))
    }
}
