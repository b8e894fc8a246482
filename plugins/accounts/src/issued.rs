//! Secrets issued on a connection that is still open, so that `$session` can be sent again.

use std::collections::HashMap;

use parking_lot::Mutex;
use partyline_plugin::{BrokerHandle, DeviceKey, SessionId};
use partyline_protocol::Secret;

/// How long a CONNECT may take to become a session, milliseconds.
const CONNECTING: i64 = 30_000;

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
    issued: Issued,
    at: i64,
}

/// What was issued to whom. As large as the number of open connections on which something was
/// issued; [`IssuedSecrets::prune`] drops the others.
#[derive(Debug, Default)]
pub(crate) struct IssuedSecrets(Mutex<HashMap<DeviceKey, Entry>>);

impl IssuedSecrets {
    /// A CONNECT of the device was accepted. It ends the device's earlier connection, so what was
    /// issued there is not repeated here.
    pub(crate) fn connected(&self, device: &DeviceKey, issued: &Issued, now: i64) {
        let mut entries = self.0.lock();
        if *issued == Issued::default() {
            entries.remove(device);
        } else {
            let entry = Entry {
                session: None,
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
        let mut issued = self.of(device, session);
        issued.token = token;
        let mut entries = self.0.lock();
        if issued == Issued::default() {
            entries.remove(device);
        } else {
            entries.insert(
                device.clone(),
                Entry {
                    session: Some(session),
                    issued,
                    at: now,
                },
            );
        }
    }

    /// What was issued on this connection. The first to ask after a CONNECT is taken for it: an
    /// earlier connection of the device is closed by then.
    pub(crate) fn of(&self, device: &DeviceKey, session: SessionId) -> Issued {
        let mut entries = self.0.lock();
        let Some(entry) = entries.get_mut(device) else {
            return Issued::default();
        };
        if *entry.session.get_or_insert(session) == session {
            entry.issued.clone()
        } else {
            Issued::default()
        }
    }

    /// Drops what was issued on connections that are closed.
    pub(crate) fn prune(&self, broker: &BrokerHandle, now: i64) {
        self.0.lock().retain(|device, entry| {
            let open = broker.session_of(device).map(|session| session.id);
            match entry.session {
                Some(session) => open == Some(session),
                None => open.is_some() || now < entry.at.saturating_add(CONNECTING),
            }
        });
    }
}
