//! All rules in force: the operator's, then those of the session's app.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use partyline_plugin::{AccessVerdict, Reason, Role, SessionInfo};
use partyline_protocol::AppKey;

use crate::config::Effect;
use crate::rules::{Access, Rules};

/// Read with each packet, replaced as a whole.
#[derive(Debug, Default)]
pub(crate) struct Rulebook {
    operator: ArcSwap<Rules>,
    apps: ArcSwap<HashMap<AppKey, Arc<Rules>>>,
}

impl Rulebook {
    pub(crate) fn new(operator: Rules) -> Self {
        let book = Self::default();
        book.set_operator(operator);
        book
    }

    /// What the broker is told.
    pub(crate) fn verdict(&self, session: &SessionInfo, access: Access<'_>) -> AccessVerdict {
        let topic = match access {
            Access::Publish(topic) => topic.as_str(),
            Access::Subscribe(filter) => filter.as_str(),
        };
        // Not asked by the broker; what is under `$` is never for rules to open.
        if topic.starts_with('$') {
            return AccessVerdict::Next;
        }
        if session.principal.role == Role::Server {
            return AccessVerdict::Allow;
        }
        match self.decide(session, access) {
            Some(Effect::Allow) => AccessVerdict::Allow,
            Some(Effect::Deny) => AccessVerdict::Deny(Reason::NotAuthorized),
            None if session.principal.role == Role::Anonymous => AccessVerdict::Allow,
            // Closed by default: the broker denies what no plugin allows.
            None => AccessVerdict::Next,
        }
    }

    /// The effect of the first rule that matches.
    fn decide(&self, session: &SessionInfo, access: Access<'_>) -> Option<Effect> {
        let operator = self.operator.load().decide(session, access);
        operator.or_else(|| {
            let apps = self.apps.load();
            apps.get(session.app())?.decide(session, access)
        })
    }

    pub(crate) fn set_operator(&self, rules: Rules) {
        self.operator.store(Arc::new(rules));
    }

    /// Puts these rules in the place of those that the apps had. Called by one task alone.
    pub(crate) fn set_apps(&self, changed: impl IntoIterator<Item = (AppKey, Rules)>) {
        let mut apps = HashMap::clone(&self.apps.load());
        for (app, rules) in changed {
            if rules.is_empty() {
                apps.remove(&app);
            } else {
                apps.insert(app, Arc::new(rules));
            }
        }
        self.apps.store(Arc::new(apps));
    }
}

#[cfg(test)]
mod tests;
