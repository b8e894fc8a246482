//! Who exists, as the accounts plugin says it.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;
use partyline_plugin::services::{Accounts, ServiceError, Services};
use partyline_protocol::{AppKey, Member, Username};
use tokio::sync::watch;

/// How long a user who was there counts as there. Deleting one is announced to us, so this only
/// bounds what another node of a cluster does not hear.
const MEMORY_MS: u64 = 60_000;

/// Users that are remembered at once; when it is full, memory starts anew.
const MAX_REMEMBERED: usize = 50_000;

/// Remembers who was there, so that a busy sender costs no look-up per message.
#[derive(Debug)]
pub(crate) struct Directory {
    services: Services,
    remembered: Mutex<Remembered>,
    /// Odd from a question until what was decided by its answer is done.
    decisions: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// Until when each user counts as there.
    until_ms: HashMap<Member, u64>,
    /// How often somebody was forgotten: an answer from before is not remembered.
    forgotten: u64,
}

/// Whether a user is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Present,
    Absent,
    /// It could not be looked up.
    Unknown,
}

/// What a look-up found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Who is there.
    present: HashSet<Member>,
    /// Apps whose users could not be looked up.
    unknown: HashSet<AppKey>,
}

impl Found {
    /// Whether one of those who were asked for is there.
    pub(crate) fn of(&self, user: &Member) -> Presence {
        if self.present.contains(user) {
            Presence::Present
        } else if self.unknown.contains(&user.appkey) {
            Presence::Unknown
        } else {
            Presence::Absent
        }
    }
}

/// A decision under way.
pub(crate) struct Deciding<'a>(&'a watch::Sender<u64>);

impl Drop for Deciding<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl Directory {
    pub(crate) fn new(services: Services) -> Self {
        Self {
            services,
            remembered: Mutex::default(),
            decisions: watch::Sender::new(0),
        }
    }

    /// Held while something is stored for users who were found: forgetting one waits for it. One
    /// at a time.
    pub(crate) fn deciding(&self) -> Deciding<'_> {
        self.decisions.send_modify(|count| *count += 1);
        Deciding(&self.decisions)
    }

    /// Which of these users are there: one question per app at most, and only about those who are
    /// not remembered.
    pub(crate) async fn find(&self, users: HashSet<Member>, now_ms: u64) -> Found {
        let mut found = Found::default();
        let mut missing = HashMap::<AppKey, Vec<Username>>::new();
        let forgotten = {
            let remembered = self.remembered.lock();
            for user in users {
                let until = remembered.until_ms.get(&user);
                if until.is_some_and(|until| *until > now_ms) {
                    found.present.insert(user);
                } else {
                    missing.entry(user.appkey).or_default().push(user.username);
                }
            }
            remembered.forgotten
        };
        for (app, names) in missing {
            match self.ask(&app, &names).await {
                Ok(present) => {
                    self.remember(&present, now_ms, forgotten);
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

    fn remember(&self, users: &[Member], now_ms: u64, forgotten: u64) {
        let mut remembered = self.remembered.lock();
        if remembered.forgotten != forgotten {
            return;
        }
        let known = &mut remembered.until_ms;
        if known.len() + users.len() > MAX_REMEMBERED {
            known.clear();
        }
        known.extend(users.iter().map(|user| (user.clone(), now_ms + MEMORY_MS)));
    }

    /// A user is gone. Returns when nothing more is stored for them.
    pub(crate) async fn forget_user(&self, user: &Member) {
        self.forget(|known| *known == *user).await;
    }

    /// An app is gone. Returns when nothing more is stored for its users.
    pub(crate) async fn forget_app(&self, app: &AppKey) {
        self.forget(|known| known.appkey == *app).await;
    }

    async fn forget(&self, who: impl Fn(&Member) -> bool) {
        {
            let mut remembered = self.remembered.lock();
            remembered.forgotten += 1;
            remembered.until_ms.retain(|user, _| !who(user));
        }
        let mut decisions = self.decisions.subscribe();
        let now = *decisions.borrow_and_update();
        if now % 2 == 1 {
            // Fails when the plugin is gone.
            let _ = decisions.changed().await;
        }
    }
}
