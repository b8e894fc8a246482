//! Who exists, as the accounts plugin says it.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use partyline_plugin::services::{Accounts, ServiceError, Services};
use partyline_protocol::{AppKey, Member, Username};

/// How long a user who was there counts as there. Deleting one is announced to us, so this only
/// bounds what another node of a cluster does not hear.
const MEMORY_MS: u64 = 60_000;

/// Users that are remembered at once; when it is full, memory starts anew.
const MAX_REMEMBERED: usize = 50_000;

/// Remembers who was there, so that a busy sender costs no look-up per message.
#[derive(Debug)]
pub(crate) struct Directory {
    services: Services,
    /// Until when each user counts as there.
    known: Mutex<HashMap<Member, u64>>,
}

/// What a look-up found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Who is there.
    pub(crate) present: HashSet<Member>,
    /// Apps whose users could not be looked up.
    pub(crate) unknown: HashSet<AppKey>,
}

impl Directory {
    pub(crate) fn new(services: Services) -> Self {
        Self {
            services,
            known: Mutex::default(),
        }
    }

    /// Which of these users are there: one question per app at most, and only about those who are
    /// not remembered.
    pub(crate) async fn find(&self, users: HashSet<Member>, now_ms: u64) -> Found {
        let mut found = Found::default();
        let mut missing = HashMap::<AppKey, Vec<Username>>::new();
        {
            let known = self.known.lock();
            for user in users {
                if known.get(&user).is_some_and(|until| *until > now_ms) {
                    found.present.insert(user);
                } else {
                    missing.entry(user.appkey).or_default().push(user.username);
                }
            }
        }
        for (app, names) in missing {
            match self.ask(&app, &names).await {
                Ok(present) => {
                    self.remember(&present, now_ms);
                    found.present.extend(present);
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        app = %app,
                        "users not looked up"
                    );
                    found.unknown.insert(app);
                }
            }
        }
        found
    }

    async fn ask(&self, app: &AppKey, names: &[Username]) -> Result<Vec<Member>, ServiceError> {
        let accounts = self.services.get::<dyn Accounts>();
        let accounts = accounts.map_err(|error| ServiceError(Box::new(error)))?;
        let states = accounts.users(app, names).await?;
        let present = names
            .iter()
            .zip(states)
            .filter(|(_, state)| state.is_some());
        let member = |name: &Username| Member {
            appkey: app.clone(),
            username: name.clone(),
        };
        Ok(present.map(|(name, _)| member(name)).collect())
    }

    fn remember(&self, users: &[Member], now_ms: u64) {
        let mut known = self.known.lock();
        if known.len() + users.len() > MAX_REMEMBERED {
            known.clear();
        }
        known.extend(users.iter().map(|user| (user.clone(), now_ms + MEMORY_MS)));
    }

    /// A user is gone.
    pub(crate) fn forget_user(&self, user: &Member) {
        self.known.lock().remove(user);
    }

    /// An app is gone.
    pub(crate) fn forget_app(&self, app: &AppKey) {
        self.known.lock().retain(|user, _| user.appkey != *app);
    }
}
