//! Why a session gets its stream.

/// What started delivery. A subscription and the wish of `configure {deliver: true}` hold on their
/// own, each until it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// A subscription to the inbox.
    Subscription,
    /// `configure {deliver: true}`.
    Configured,
    /// `inbox/sync`. Nothing takes it back by name, so the end of either other ends it too: what
    /// is sent to a client without a handler may be acknowledged and dropped.
    Sync,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reasons {
    subscription: bool,
    configured: bool,
    sync: bool,
}

impl Reasons {
    pub(super) fn add(&mut self, reason: Reason) {
        *self.of(reason) = true;
    }

    pub(super) fn remove(&mut self, reason: Reason) {
        *self.of(reason) = false;
        self.sync = false;
    }

    pub(super) fn any(self) -> bool {
        self.subscription || self.configured || self.sync
    }

    fn of(&mut self, reason: Reason) -> &mut bool {
        match reason {
            Reason::Subscription => &mut self.subscription,
            Reason::Configured => &mut self.configured,
            Reason::Sync => &mut self.sync,
        }
    }
}
