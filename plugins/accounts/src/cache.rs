//! Apps and users in memory, so that a connection or a message costs no query for them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use partyline_plugin::services::UserState;
use partyline_protocol::{AppKey, Username};

use crate::store::App;

/// What is known of a user: `None` = does not exist.
type Known = Option<UserState>;

/// Bounded; what has changed is taken out, by this process at once and for changes of others when
/// the change log is read.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: Mutex<Entries>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Entries {
    /// Counts invalidations.
    version: u64,
    apps: HashMap<AppKey, Arc<App>>,
    users: HashMap<(AppKey, Username), Known>,
}

/// Taken before a read whose result is to be kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadFrom(u64);

impl Cache {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: Mutex::default(),
            capacity,
        }
    }

    pub(crate) fn before_read(&self) -> ReadFrom {
        ReadFrom(self.entries.lock().version)
    }

    pub(crate) fn app(&self, key: &AppKey) -> Option<Arc<App>> {
        self.entries.lock().apps.get(key).cloned()
    }

    pub(crate) fn keep_app(&self, from: ReadFrom, app: &Arc<App>) {
        let mut entries = self.entries.lock();
        // What was read before an invalidation may be what was invalidated.
        if entries.version == from.0 {
            make_room(&mut entries.apps, self.capacity);
            entries.apps.insert(app.key.clone(), Arc::clone(app));
        }
    }

    /// What is known of each user; the outer `None` = must be read.
    pub(crate) fn users(&self, app: &AppKey, names: &[Username]) -> Vec<Option<Known>> {
        let entries = self.entries.lock();
        let known = |name: &Username| entries.users.get(&(app.clone(), name.clone())).copied();
        names.iter().map(known).collect()
    }

    pub(crate) fn keep_users<'a>(
        &self,
        from: ReadFrom,
        app: &AppKey,
        users: impl Iterator<Item = (&'a Username, Known)>,
    ) {
        let mut entries = self.entries.lock();
        if entries.version == from.0 {
            for (name, known) in users {
                make_room(&mut entries.users, self.capacity);
                entries.users.insert((app.clone(), name.clone()), known);
            }
        }
    }

    pub(crate) fn invalidate(&self, app: &AppKey, user: Option<&Username>) {
        let mut entries = self.entries.lock();
        entries.version = entries.version.wrapping_add(1);
        if let Some(user) = user {
            entries.users.remove(&(app.clone(), user.clone()));
        } else {
            entries.apps.remove(app);
            entries.users.retain(|(of, _), _| of != app);
        }
    }
}

/// A full map loses an arbitrary half: cheaper than keeping an order, and whatever is still in use
/// is back after one query.
fn make_room<K, V>(map: &mut HashMap<K, V>, capacity: usize) {
    if map.len() >= capacity.max(2) {
        let mut keep = false;
        map.retain(|_, _| {
            keep = !keep;
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppKey {
        AppKey::parse("abcdefghijklmnopqrstuvwx").unwrap()
    }

    fn names(count: usize) -> Vec<Username> {
        (0..count)
            .map(|n| Username::parse(format!("user-{n}")).unwrap())
            .collect()
    }

    #[test]
    fn it_never_grows_beyond_its_capacity() {
        let (cache, names) = (Cache::new(10), names(1000));
        cache.keep_users(
            cache.before_read(),
            &app(),
            names.iter().map(|name| (name, None)),
        );
        let known = cache.users(&app(), &names).into_iter().flatten().count();
        assert!((5..=10).contains(&known), "{known}");
    }

    #[test]
    fn what_was_read_before_a_change_is_not_kept() {
        let (cache, names) = (Cache::new(10), names(1));
        let keep = |from| {
            let active = (&names[0], Some(UserState::Active));
            cache.keep_users(from, &app(), std::iter::once(active));
        };
        let before = cache.before_read();
        cache.invalidate(&app(), Some(&names[0]));
        keep(before);
        assert_eq!(cache.users(&app(), &names), [None]);
        keep(cache.before_read());
        assert_eq!(cache.users(&app(), &names), [Some(Some(UserState::Active))]);
        cache.invalidate(&app(), None);
        assert_eq!(cache.users(&app(), &names), [None]);
    }
}
