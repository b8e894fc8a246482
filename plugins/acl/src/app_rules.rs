//! The rules of apps, as they are kept in the database.

use std::sync::Arc;

use partyline_plugin::database::Database;
use partyline_protocol::{AppKey, Username};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::RuleError;
use crate::config::{Action, Effect, RuleConfig, empty_is_none};
use crate::rules::Rules;
use crate::store;

/// Most rules of one app.
const MAX_RULES: usize = 256;
/// Longest topic of an app's rule, bytes.
const MAX_TOPIC: usize = 1024;

/// One rule of an app, for its own sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppRule {
    /// What happens when it matches.
    pub effect: Effect,
    /// What it is about.
    pub action: Action,
    /// A topic filter with placeholders, as in [`RuleConfig::topic`], of at most 1,024 bytes.
    pub topic: String,
    /// Only sessions on which this user is logged in; absent or empty = any, or none.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub user: Option<Username>,
}

impl From<AppRule> for RuleConfig {
    fn from(rule: AppRule) -> Self {
        Self {
            effect: rule.effect,
            action: rule.action,
            topic: rule.topic,
            app: None,
            user: rule.user,
        }
    }
}

/// Why an app's rules were not changed or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppRulesError {
    /// A rule cannot be used.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// A topic is too long.
    #[error("the topic of rule {number} has more than {MAX_TOPIC} bytes")]
    TopicTooLong {
        /// Its place in the list, from 1.
        number: usize,
    },
    /// There would be too many.
    #[error("an app has at most {MAX_RULES} rules")]
    TooMany,
    /// There is no rule at that place.
    #[error("the app has no rule {number}: it has {count}")]
    NoSuchRule {
        /// The place.
        number: usize,
        /// How many rules there are.
        count: usize,
    },
    /// What is in the database is no list of rules.
    #[error("the stored rules cannot be read; setting new ones replaces them")]
    Unreadable(#[source] serde_json::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// The rules of all apps. Cheap to clone.
///
/// A broker that runs on the same database, also in another process, sees each change within about
/// a second. Whether an app exists is not its business: who changes rules has asked before.
#[derive(Debug, Clone)]
pub struct AppRules {
    database: Database,
    /// Wakes the reader of changes in this process.
    changed: Arc<Notify>,
}

impl AppRules {
    /// On a database whose tables are up to date.
    pub fn new(database: Database) -> Self {
        Self {
            database,
            changed: Arc::default(),
        }
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Returns when this process has committed a change since the last call.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The app's rules, in the order in which they are asked.
    pub async fn list(&self, app: &AppKey) -> Result<Vec<AppRule>, AppRulesError> {
        let stored = store::rules_of(&self.database, app).await?;
        stored.map_or(Ok(Vec::new()), |stored| parse(&stored))
    }

    /// Puts a rule at this place, from 1, before the one that is there, or at the end. Returns the
    /// whole list.
    pub async fn add(
        &self,
        app: &AppKey,
        rule: AppRule,
        at: Option<usize>,
    ) -> Result<Vec<AppRule>, AppRulesError> {
        self.edit(app, Edit::Add(rule, at)).await
    }

    /// Takes away the rule at this place, from 1. Returns those that are left.
    pub async fn remove(&self, app: &AppKey, number: usize) -> Result<Vec<AppRule>, AppRulesError> {
        self.edit(app, Edit::Remove(number)).await
    }

    /// Replaces all rules of the app in one step.
    pub async fn set(
        &self,
        app: &AppKey,
        rules: Vec<AppRule>,
    ) -> Result<Vec<AppRule>, AppRulesError> {
        self.edit(app, Edit::Set(rules)).await
    }

    async fn edit(&self, app: &AppKey, edit: Edit) -> Result<Vec<AppRule>, AppRulesError> {
        let app = app.clone();
        let rules = self.database.write(store::Change { app, edit }).await??;
        self.changed.notify_one();
        Ok(rules)
    }
}

/// One change of a list.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Add(AppRule, Option<usize>),
    Remove(usize),
    Set(Vec<AppRule>),
}

impl Edit {
    /// The list after the change, checked.
    pub(crate) fn apply(&self, stored: Option<&str>) -> Result<Vec<AppRule>, AppRulesError> {
        let before = || stored.map_or(Ok(Vec::new()), parse);
        let rules = match self {
            Self::Set(rules) => rules.clone(),
            Self::Add(rule, at) => {
                let mut rules = before()?;
                let count = rules.len();
                let at = at.unwrap_or(count + 1);
                // One after the last is the end.
                if at == 0 || at > count + 1 {
                    return Err(AppRulesError::NoSuchRule { number: at, count });
                }
                rules.insert(at - 1, rule.clone());
                rules
            }
            Self::Remove(number) => {
                let mut rules = before()?;
                let count = rules.len();
                if *number == 0 || *number > count {
                    let number = *number;
                    return Err(AppRulesError::NoSuchRule { number, count });
                }
                rules.remove(number - 1);
                rules
            }
        };
        check(&rules)?;
        Ok(rules)
    }
}

fn check(rules: &[AppRule]) -> Result<(), AppRulesError> {
    if rules.len() > MAX_RULES {
        return Err(AppRulesError::TooMany);
    }
    if let Some(at) = rules.iter().position(|rule| rule.topic.len() > MAX_TOPIC) {
        return Err(AppRulesError::TopicTooLong { number: at + 1 });
    }
    compile(rules.to_vec())?;
    Ok(())
}

/// Reads a stored list.
pub(crate) fn parse(stored: &str) -> Result<Vec<AppRule>, AppRulesError> {
    serde_json::from_str(stored).map_err(AppRulesError::Unreadable)
}

pub(crate) fn compile(rules: Vec<AppRule>) -> Result<Rules, RuleError> {
    Rules::new(rules.into_iter().map(RuleConfig::from))
}

#[cfg(test)]
mod tests;
