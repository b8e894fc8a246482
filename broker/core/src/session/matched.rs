//! For which subscriptions a message is delivered.

use std::num::NonZeroU32;
use std::sync::Arc;

use partyline_plugin::protocol::TopicFilter;

use super::Publication;
use crate::packet::SubscribeOptions;

/// What the filter of a shared subscription begins with.
pub(crate) const SHARE: &str = "$share/";

/// What a message owes to the subscriptions that it is delivered for. `None` in its place stands
/// for plain ones without an identifier, which nearly all are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Their Subscription Identifiers (MQTT 5 §3.3.2.3.8).
    pub(crate) ids: Vec<NonZeroU32>,
    /// The shared subscription, its whole filter; then it is the only one.
    pub(crate) share: Option<TopicFilter>,
}

/// A message of a shared subscription, whose session is not to get it any more.
#[derive(Debug)]
pub(crate) struct Orphan {
    pub(crate) publication: Arc<Publication>,
    pub(crate) retain: bool,
    /// The whole filter.
    pub(crate) share: TopicFilter,
}

impl Matched {
    /// Of one subscription.
    pub(crate) fn of(filter: &TopicFilter, options: SubscribeOptions) -> Option<Arc<Self>> {
        let ids = Vec::from_iter(options.subscription_id);
        let share = filter.as_str().starts_with(SHARE).then(|| filter.clone());
        (!ids.is_empty() || share.is_some()).then(|| Arc::new(Self { ids, share }))
    }

    /// Of plain subscriptions with these identifiers.
    pub(super) fn with_ids(mut ids: Vec<NonZeroU32>) -> Option<Arc<Self>> {
        ids.sort_unstable();
        ids.dedup();
        (!ids.is_empty()).then(|| Arc::new(Self { ids, share: None }))
    }

    /// Adds what another plain subscription of the session says of the same message.
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

    /// The shared subscription of a message.
    pub(super) fn share(matched: Option<&Arc<Self>>) -> Option<&TopicFilter> {
        matched.and_then(|matched| matched.share.as_ref())
    }

    /// Bytes that it counts for in a queue.
    pub(super) fn weight(matched: Option<&Arc<Self>>) -> usize {
        size_of_val(Self::ids(matched))
    }
}
