//! Filters of deliveries.

use crate::{DeviceKey, Message, SessionInfo};

/// Who is to get a message.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Recipient<'a> {
    /// The session's key.
    pub device: &'a DeviceKey,
    /// Its connection, if it has one now.
    pub session: Option<&'a SessionInfo>,
}

impl<'a> Recipient<'a> {
    /// A recipient; made by the broker and by tests.
    pub fn new(device: &'a DeviceKey, session: Option<&'a SessionInfo>) -> Self {
        Self { device, session }
    }
}

/// The verdict of a deliver filter.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliverVerdict {
    /// This recipient gets it.
    Keep,
    /// This recipient does not.
    Skip,
}

/// Sees a routed message once for each session that is to get it, also one without a connection,
/// before it waits there; and a retained one for each subscription that it is sent for. It does not
/// see what its own plugin published, nor what any plugin delivers to a session by its handle.
///
/// Of a shared subscription only the session that would get it is asked about; what is kept from
/// it goes to another of the group.
///
/// It multiplies with the fan-out, so it is not async and must be fast. The broker may hold locks
/// meanwhile: a filter that calls the broker's handle panics. A panic is a fault: the recipient
/// gets the message or does not, as registered.
pub trait DeliverFilter: Send + Sync + 'static {
    /// Decide.
    fn on_deliver(&self, to: Recipient<'_>, message: &Message) -> DeliverVerdict;
}
