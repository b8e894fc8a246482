//! The list of rules: the first that matches decides.

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use partyline_plugin::SessionInfo;
use partyline_protocol::{AppKey, TopicFilter, TopicName, Username};

use crate::config::{Action, Effect, RuleConfig};
use crate::pattern::{Pattern, PatternError, Values};

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule {number} with topic {topic:?} is not usable")]
pub struct RuleError {
    /// Its place in the list, from 1.
    pub number: usize,
    /// Its topic.
    pub topic: String,
    /// What is wrong with it.
    pub source: PatternError,
}

/// What a session wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    Publish(&'a TopicName),
    Subscribe(&'a TopicFilter),
}

/// The rules, ready for use.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    effect: Effect,
    action: Action,
    pattern: Pattern,
    app: Option<AppKey>,
    user: Option<Username>,
}

impl Rules {
    pub(crate) fn new(rules: impl IntoIterator<Item = RuleConfig>) -> Result<Self, RuleError> {
        let rules = rules.into_iter().zip(1..);
        let rules = rules.map(|(rule, number)| Rule::new(rule, number));
        rules.collect::<Result<_, _>>().map(Self)
    }

    /// What stands in for rules that cannot be read: nothing is allowed.
    pub(crate) fn closed() -> Self {
        let everything = RuleConfig {
            effect: Effect::Deny,
            action: Action::All,
            topic: "#".to_owned(),
            app: None,
            user: None,
        };
        Self(Rule::new(everything, 1).into_iter().collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The effect of the first rule that matches.
    pub(crate) fn decide(&self, session: &SessionInfo, access: Access<'_>) -> Option<Effect> {
        self.0
            .iter()
            .find(|rule| rule.matches(session, access))
            .map(|rule| rule.effect)
    }
}

impl Rule {
    fn new(rule: RuleConfig, number: usize) -> Result<Self, RuleError> {
        let RuleConfig {
            effect,
            action,
            topic,
            app,
            user,
        } = rule;
        match Pattern::parse(&topic) {
            Ok(pattern) => Ok(Self {
                effect,
                action,
                pattern,
                app,
                user,
            }),
            Err(source) => Err(RuleError {
                number,
                topic,
                source,
            }),
        }
    }

    fn matches(&self, session: &SessionInfo, access: Access<'_>) -> bool {
        self.is_about(access)
            && self.app.as_ref().is_none_or(|app| app == session.app())
            && self
                .user
                .as_ref()
                .is_none_or(|user| Some(user) == session.principal.username())
            && self.covers(session, access)
    }

    fn is_about(&self, access: Access<'_>) -> bool {
        match self.action {
            Action::All => true,
            Action::Publish => matches!(access, Access::Publish(_)),
            Action::Subscribe => matches!(access, Access::Subscribe(_)),
        }
    }

    /// An allow must hold for everything that is asked for, a deny for any part of it.
    fn covers(&self, session: &SessionInfo, access: Access<'_>) -> bool {
        let values = Values {
            app: session.app().as_str(),
            user: session.principal.username().map_or("", Username::as_str),
            client_id: session.device.client_id.as_str(),
        };
        match self.effect {
            Effect::Allow => self
                .pattern
                .strict(&values)
                .is_some_and(|filter| match access {
                    Access::Publish(topic) => filter.matches(topic.as_str()),
                    Access::Subscribe(asked) => filter.covers(asked),
                }),
            // What cannot be filled in is denied, so that no deny is ever lost.
            Effect::Deny => self
                .pattern
                .wide(&values)
                .is_none_or(|filter| match access {
                    Access::Publish(topic) => filter.matches(topic.as_str()),
                    Access::Subscribe(asked) => filter.overlaps(asked),
                }),
        }
    }
}
