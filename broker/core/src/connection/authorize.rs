//! Who may subscribe to what, and the outlets that listen under `$`.

use std::num::NonZeroU32;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use partyline_plugin::host::OutletEntry;
use partyline_plugin::protocol::TopicFilter;
use partyline_plugin::{AccessVerdict, Audience, Qos, Reason, Role, SessionInfo, SubscribeRequest};

use super::Connection;
use crate::plugins::{Faulted, HookTable};
use crate::session::Attachment;

/// How long an outlet may take. Generous, since it may look at the database.
const OUTLET_DEADLINE: Duration = Duration::from_secs(10);

/// The outlets that a filter under `$` covers and this role may hear, by place.
fn heard<'a>(
    hooks: &'a HookTable,
    filter: &'a TopicFilter,
    role: Role,
) -> impl Iterator<Item = (usize, &'a OutletEntry)> {
    let may_hear = move |audience| match audience {
        Audience::Devices => role == Role::Device,
        Audience::Servers => role == Role::Server,
    };
    let outlets = hooks.outlets().iter().enumerate();
    outlets.filter(move |(_, outlet)| may_hear(outlet.audience) && filter.matches(outlet.topic))
}

/// The outlets that the connection's filters cover now.
pub(crate) fn covered_outlets(hooks: &HookTable, attachment: &Attachment) -> Vec<usize> {
    let role = attachment.info.load().principal.role;
    let listening = attachment.listening.lock();
    let mut covered: Vec<usize> = listening
        .filters
        .iter()
        .flat_map(|(filter, _)| heard(hooks, filter, role).map(|(place, _)| place))
        .collect();
    covered.sort_unstable();
    covered.dedup();
    covered
}

/// Why a session may not subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A plugin says so, or none allows it.
    Denied(Reason),
    /// A hook could not decide. That takes nothing away which was granted before.
    Undecided,
}

impl Refused {
    /// For the SUBACK.
    pub(super) fn reason(self) -> Reason {
        match self {
            Self::Denied(reason) => reason,
            Self::Undecided => Reason::ImplementationSpecificError,
        }
    }
}

impl HookTable {
    /// Whether a session may subscribe to a plain filter, which may be shared; denied unless a plugin
    /// allows it.
    pub(crate) async fn may_subscribe(
        &self,
        info: &SessionInfo,
        filter: &TopicFilter,
        qos: Qos,
    ) -> Result<(), Refused> {
        let (share, filter) = match filter.share() {
            Ok(Some((share, topics))) => (Some(share.into()), topics),
            _ => (None, filter.clone()),
        };
        let request = SubscribeRequest::new(filter, share, qos);
        match self.authorize_subscribe(info, &request).await {
            Ok(AccessVerdict::Allow) => Ok(()),
            Ok(AccessVerdict::Next) => Err(Refused::Denied(Reason::NotAuthorized)),
            Ok(AccessVerdict::Deny(reason)) => Err(Refused::Denied(reason)),
            Err(Faulted) => Err(Refused::Undecided),
        }
    }
}

impl Connection {
    /// Grants a filter under `$` if it covers any outlet that this session may hear.
    pub(super) fn grant_outlets(
        &self,
        filter: &TopicFilter,
        id: Option<NonZeroU32>,
    ) -> Result<Qos, Reason> {
        let hooks = self.kernel.hooks.load();
        let role = self.attachment.info.load().principal.role;
        let qos = heard(&hooks, filter, role)
            .map(|(_, outlet)| outlet.qos)
            .max();
        let qos = qos.ok_or(Reason::NotAuthorized)?;
        let mut listening = self.attachment.listening.lock();
        let place = listening.filters.iter().position(|(one, _)| one == filter);
        if let Some((_, present)) = place.and_then(|at| listening.filters.get_mut(at)) {
            *present = id;
        } else {
            if listening.filters.len() >= self.kernel.config.limits.subscriptions {
                return Err(Reason::QuotaExceeded);
            }
            listening.filters.push((filter.clone(), id));
        }
        Ok(qos)
    }

    /// Tells the outlets that a granted filter covers.
    pub(super) async fn open_outlets(&mut self, filter: &TopicFilter) {
        let hooks = self.kernel.hooks.load_full();
        let info = self.info();
        let places: Vec<usize> = heard(&hooks, filter, info.principal.role)
            .map(|(place, _)| place)
            .collect();
        hooks.open_outlets(&self.attachment, &info, &places).await;
    }

    /// Drops a filter under `$` and tells the outlets that none covers any more.
    pub(super) async fn leave_outlets(&mut self, filter: &TopicFilter) -> bool {
        let existed = {
            let mut listening = self.attachment.listening.lock();
            let before = listening.filters.len();
            listening.filters.retain(|(one, _)| one != filter);
            listening.filters.len() < before
        };
        if existed {
            let hooks = self.kernel.hooks.load_full();
            let covered = covered_outlets(&hooks, &self.attachment);
            let left = {
                let mut listening = self.attachment.listening.lock();
                let (stay, left) = listening
                    .open
                    .iter()
                    .partition(|place| covered.contains(place));
                listening.open = stay;
                left
            };
            hooks.close_outlets(&self.info(), &left).await;
        }
        existed
    }

    /// Tells every open outlet that the connection has ended.
    pub(super) async fn close_outlets(&mut self) {
        let open = {
            let mut listening = self.attachment.listening.lock();
            listening.ended = true;
            listening.filters.clear();
            std::mem::take(&mut listening.open)
        };
        if !open.is_empty() {
            self.kernel
                .hooks
                .load_full()
                .close_outlets(&self.info(), &open)
                .await;
        }
    }
}

impl HookTable {
    /// Tells outlets of a listener, and remembers that they were told.
    pub(crate) async fn open_outlets(
        &self,
        attachment: &Attachment,
        info: &Arc<SessionInfo>,
        places: &[usize],
    ) {
        for place in places {
            let Some(entry) = self.outlets().get(*place) else {
                continue;
            };
            {
                let mut listening = attachment.listening.lock();
                if listening.ended {
                    return;
                }
                if !listening.open.contains(place) {
                    listening.open.push(*place);
                }
            }
            if let Some(outlet) = &entry.outlet {
                guarded(entry.topic, outlet.opened(info)).await;
                // Closed while it was being told: it is told again, in the right order.
                if !attachment.listening.lock().open.contains(place) {
                    guarded(entry.topic, outlet.closed(info)).await;
                }
            }
        }
    }

    /// Tells outlets that a listener is gone.
    pub(crate) async fn close_outlets(&self, info: &Arc<SessionInfo>, places: &[usize]) {
        for place in places {
            if let Some(entry) = self.outlets().get(*place)
                && let Some(outlet) = &entry.outlet
            {
                guarded(entry.topic, outlet.closed(info)).await;
            }
        }
    }
}

/// Tells an outlet, whose panic or endless wait must not keep the connection from ending.
async fn guarded(topic: &str, telling: impl Future<Output = ()>) {
    let telling = AssertUnwindSafe(telling).catch_unwind();
    match tokio::time::timeout(OUTLET_DEADLINE, telling).await {
        Ok(Ok(())) => {}
        Ok(Err(_)) => tracing::error!(topic, "an outlet panicked"),
        Err(_) => tracing::error!(topic, "an outlet missed its deadline"),
    }
}
