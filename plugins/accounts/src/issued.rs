//! Secrets issued on a connection that is still open, so that `$session` can be sent again.

use std::collections::HashMap;

use parking_lot::Mutex;
use partyline_plugin::{BrokerHandle, DeviceKey, SessionId};
use partyline_protocol::Secret;

/// What was newly issued to a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Issued {
    pub(crate) device_secret: Option<Secret>,
    pub(crate) token: Option<Secret>,
}

#[derive(Debug)]
struct Entry {
    /// The connection; `None` until it subscribes, since a CONNECT has no session yet.
    session: Option<SessionId>,
    /// The device's connection at the time of the CONNECT, which is not the one meant.
    earlier: Option<SessionId>,
    issued: Issued,
    at: i64,
}

impl Entry {
    /// Whether it is about this connection. The first but the earlier one to ask is taken for it.
    fn is_about(&mut self, session: SessionId) -> bool {
        self.earlier != Some(session) && *self.session.get_or_insert(session) == session
    }
}

/// What was issued to whom. As large as the number of open connections on which something was
/// issued; [`IssuedSecrets::prune`] drops the others.
#[derive(Debug, Default)]
pub(crate) struct IssuedSecrets(Mutex<HashMap<DeviceKey, Entry>>);

impl IssuedSecrets {
    /// A CONNECT of the device was accepted. It ends the device's earlier connection, soon but not
    /// at once, and what was issued on the one is not for the other.
    pub(crate) fn connected(
        &self,
        device: &DeviceKey,
        earlier: Option<SessionId>,
        issued: &Issued,
        now: i64,
    ) {
        let mut entries = self.0.lock();
        if *issued == Issued::default() {
            entries.remove(device);
        } else {
            let entry = Entry {
                session: None,
                earlier,
                issued: issued.clone(),
                at: now,
            };
            entries.insert(device.clone(), entry);
        }
    }

    /// The login of an open connection changed, with a new token or, at logout, without.
    pub(crate) fn login_changed(
        &self,
        device: &DeviceKey,
        session: SessionId,
        token: Option<Secret>,
        now: i64,
    ) {
        let mut entries = self.0.lock();
        let mut issued = Issued::default();
        if let Some(entry) = entries.get_mut(device) {
            if entry.is_about(session) {
                issued.device_secret.clone_from(&entry.issued.device_secret);
            } else if entry.session.is_none_or(|other| other > session) {
                // A newer connection of the device is in, or on its way.
                return;
            }
        }
        issued.token = token;
        if issued == Issued::default() {
            entries.remove(device);
        } else {
            let entry = Entry {
                session: Some(session),
                earlier: None,
                issued,
                at: now,
            };
            entries.insert(device.clone(), entry);
        }
    }

    /// What was issued on this connection.
    pub(crate) fn of(&self, device: &DeviceKey, session: SessionId) -> Issued {
        let mut entries = self.0.lock();
        let entry = entries.get_mut(device);
        let entry = entry.and_then(|entry| entry.is_about(session).then_some(entry));
        entry.map(|entry| entry.issued.clone()).unwrap_or_default()
    }

    /// Drops what was issued on connections that are closed. A CONNECT may take `connecting`
    /// milliseconds to become a session.
    pub(crate) fn prune(&self, broker: &BrokerHandle, now: i64, connecting: i64) {
        self.0.lock().retain(|device, entry| {
            let open = broker.session_of(device).map(|session| session.id);
            match entry.session {
                Some(session) => open == Some(session),
                None if now < entry.at.saturating_add(connecting) => true,
                None => open.is_some() && open != entry.earlier,
            }
        });
    }
}
