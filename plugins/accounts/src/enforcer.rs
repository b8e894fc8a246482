//! Ends connections whose right to be there has ended.
//!
//! It doesn't carry out orders to kick; it compares the open connections with what the database
//! says and ends those that disagree. So it may run twice, late, or for a change of another
//! process, and never ends a connection that is in the right.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use partyline_plugin::{BrokerHandle, DeviceKey, Kick, Outgoing, Owner, SessionInfo};
use partyline_protocol::{AppKey, KickReason, Reason, Username};

use crate::directory::Directory;
use crate::notice::Notices;
use crate::secret::SecretHash;
use crate::store;

/// The first wait before looking again, milliseconds. It doubles until nobody can be on the way in
/// any more: 1, 2, 4 and 8 s where a connection has 10.
const FIRST_WAIT: i64 = 1000;
/// Changes looked after at once. More at a time is a mass operation, in which a connection that
/// slips through lives until its next login.
const MAX_LOOKS: usize = 10_000;

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Concern {
    User(AppKey, Username, KickReason),
    Servers(AppKey),
    DeletedApp(AppKey),
}

pub(crate) struct Enforcer {
    broker: BrokerHandle,
    directory: Directory,
    notices: Notices,
    /// How long a connection that was authenticated before a change may take to become a session,
    /// milliseconds.
    connecting: i64,
    /// With which master secret each server was let in. As many as there are such connections.
    servers: Mutex<HashMap<DeviceKey, Admitted>>,
    /// Open connections on users' own devices whose users have logged out.
    logged_out: Mutex<HashSet<DeviceKey>>,
    /// What to look after once more.
    again: Mutex<HashMap<Concern, Again>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Again {
    at: i64,
    /// How long after the look before.
    waited: i64,
}

struct Admitted {
    master: SecretHash,
    at: i64,
}

impl Enforcer {
    pub(crate) fn new(
        broker: BrokerHandle,
        directory: Directory,
        notices: Notices,
        connecting: i64,
    ) -> Self {
        Self {
            broker,
            directory,
            notices,
            connecting,
            servers: Mutex::default(),
            logged_out: Mutex::default(),
            again: Mutex::default(),
        }
    }

    /// A server was let in.
    pub(crate) fn server_admitted(&self, device: DeviceKey, master: SecretHash) {
        let admitted = Admitted {
            master,
            at: self.directory.now(),
        };
        self.servers.lock().insert(device, admitted);
    }

    /// The user of a connection logged out. If it is on a device of the user's own, it ends with
    /// the user.
    pub(crate) fn logged_out(&self, device: &DeviceKey) {
        if matches!(device.owner, Owner::User(_)) {
            self.logged_out.lock().insert(device.clone());
        }
    }

    /// A login of the user, or all of them, ended.
    pub(crate) async fn user_changed(
        &self,
        app: &AppKey,
        user: &Username,
        reason: KickReason,
    ) -> Result<(), sqlx::Error> {
        self.enforce(Concern::User(app.clone(), user.clone(), reason))
            .await
    }

    /// The app's master secret changed.
    pub(crate) async fn master_changed(&self, app: &AppKey) -> Result<(), sqlx::Error> {
        self.enforce(Concern::Servers(app.clone())).await
    }

    /// The app is gone.
    pub(crate) async fn app_deleted(&self, app: &AppKey) -> Result<(), sqlx::Error> {
        self.enforce(Concern::DeletedApp(app.clone())).await
    }

    /// Looks again for connections that were on their way in at the time of a change.
    pub(crate) async fn look_again(&self) -> Result<(), sqlx::Error> {
        let now = self.directory.now();
        let due: Vec<(Concern, Again)> = {
            let again = self.again.lock();
            let due = again.iter().filter(|(_, again)| again.at <= now);
            due.map(|(concern, again)| (concern.clone(), *again))
                .collect()
        };
        for (concern, read) in due {
            self.look(&concern).await?;
            let waited = read.waited.saturating_mul(2);
            let mut again = self.again.lock();
            // Noted anew in the meantime: there is a newer change, with all its looks to come.
            if again.get(&concern) != Some(&read) {
                continue;
            }
            if waited > self.connecting {
                again.remove(&concern);
            } else {
                let at = now.saturating_add(waited);
                again.insert(concern, Again { at, waited });
            }
        }
        let is_logged_out = |device: &DeviceKey| {
            let session = self.broker.session_of(device);
            session.is_some_and(|session| session.principal.user.is_none())
        };
        self.logged_out.lock().retain(is_logged_out);
        self.servers.lock().retain(|device, admitted| {
            now < admitted.at.saturating_add(self.connecting)
                || self.broker.session_of(device).is_some()
        });
        Ok(())
    }

    async fn enforce(&self, concern: Concern) -> Result<(), sqlx::Error> {
        // Noted first, so that it is tried again if the database fails now.
        let again = Again {
            at: self.directory.now() + FIRST_WAIT,
            waited: FIRST_WAIT,
        };
        {
            let mut all = self.again.lock();
            if all.len() < MAX_LOOKS {
                all.insert(concern.clone(), again);
            }
        }
        self.look(&concern).await
    }

    async fn look(&self, concern: &Concern) -> Result<(), sqlx::Error> {
        match concern {
            Concern::User(app, user, reason) => self.look_at_user(app, user, *reason).await,
            Concern::Servers(app) => self.look_at_servers(app).await,
            Concern::DeletedApp(app) => {
                self.broker.drop_app(app);
                Ok(())
            }
        }
    }

    async fn look_at_user(
        &self,
        app: &AppKey,
        user: &Username,
        reason: KickReason,
    ) -> Result<(), sqlx::Error> {
        if reason == KickReason::Deleted {
            self.look_at_logged_out(app, user).await?;
        }
        let sessions = self.broker.sessions_of(app, user);
        if sessions.is_empty() {
            return Ok(());
        }
        let logins = store::read(self.directory.database())
            .await?
            .active_logins(app, user)
            .await?;
        let valid: HashSet<_> = logins.into_iter().map(|login| login.registration).collect();
        for session in sessions {
            let registration = session.principal.registration.as_ref();
            if registration.is_none_or(|registration| !valid.contains(registration)) {
                let notice = registration.map(|of| self.notices.farewell(of, user, reason));
                self.kick(&session, reason.as_str(), notice);
            }
        }
        Ok(())
    }

    /// Ends connections on a deleted user's own devices on which nobody is logged in.
    async fn look_at_logged_out(&self, app: &AppKey, user: &Username) -> Result<(), sqlx::Error> {
        let is_theirs = |device: &&DeviceKey| {
            device.app == *app && matches!(&device.owner, Owner::User(owner) if owner == user)
        };
        let devices: Vec<DeviceKey> = {
            let logged_out = self.logged_out.lock();
            logged_out.iter().filter(is_theirs).cloned().collect()
        };
        for session in devices
            .iter()
            .filter_map(|device| self.broker.session_of(device))
        {
            let Some(registration) = &session.principal.registration else {
                continue;
            };
            let mut store = store::read(self.directory.database()).await?;
            let device = store.device_by_registration(app, registration).await?;
            if device.is_none() {
                let reason = KickReason::Deleted;
                let notice = self.notices.farewell(registration, user, reason);
                self.kick(&session, reason.as_str(), Some(notice));
            }
        }
        Ok(())
    }

    async fn look_at_servers(&self, app: &AppKey) -> Result<(), sqlx::Error> {
        let found = store::read(self.directory.database())
            .await?
            .app(app)
            .await?;
        let stale: Vec<DeviceKey> = {
            let servers = self.servers.lock();
            let of_app = servers.iter().filter(|(device, _)| device.app == *app);
            let holds = |admitted: &Admitted| {
                found
                    .as_ref()
                    .is_some_and(|app| app.master == admitted.master)
            };
            of_app
                .filter(|(_, a)| !holds(a))
                .map(|(device, _)| device.clone())
                .collect()
        };
        for device in stale {
            if let Some(session) = self.broker.session_of(&device) {
                self.kick(&session, "the master secret was changed", None);
            }
        }
        Ok(())
    }

    fn kick(&self, session: &SessionInfo, message: &str, notice: Option<Outgoing>) {
        let message = Some(message.to_owned());
        let reason = Reason::AdministrativeAction;
        if self.broker.kick(
            session.id,
            Kick {
                reason,
                message,
                notice,
            },
        ) {
            tracing::info!(session = session.id.get(), device = %session.device, "kicked");
        }
    }
}
