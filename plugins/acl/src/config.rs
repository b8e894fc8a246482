//! `[plugins.acl]`.

use std::str::FromStr;

use partyline_protocol::{AppKey, Username};
use serde::{Deserialize, Deserializer, Serialize};

/// The operator's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AclConfig {
    /// Asked before the rules of the apps; the first that matches decides.
    pub rules: Vec<RuleConfig>,
    /// Milliseconds between looks for changed rules of apps, at least 1.
    pub poll_ms: u64,
}

impl Default for AclConfig {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            poll_ms: 1000,
        }
    }
}

/// One rule as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// What happens when it matches.
    pub effect: Effect,
    /// What it is about.
    pub action: Action,
    /// A topic filter. `%a` stands for the app key, `%u` for the user, `%c` for the client id,
    /// `%%` for a percent sign.
    pub topic: String,
    /// Only sessions of this app; absent or empty = any.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub app: Option<AppKey>,
    /// Only sessions on which this user is logged in; absent or empty = any, or none.
    #[serde(
        default,
        deserialize_with = "empty_is_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub user: Option<Username>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Lets it through.
    Allow,
    /// Refuses it.
    Deny,
}

impl Effect {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl FromStr for Effect {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::Allow, Self::Deny];
        let found = all.into_iter().find(|one| one.as_str() == name);
        found.ok_or(UnknownName("allow or deny"))
    }
}

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Publishing, wills included.
    Publish,
    /// Subscribing.
    Subscribe,
    /// Both.
    All,
}

impl Action {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Subscribe => "subscribe",
            Self::All => "all",
        }
    }
}

impl FromStr for Action {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        let all = [Self::Publish, Self::Subscribe, Self::All];
        let found = all.into_iter().find(|one| one.as_str() == name);
        found.ok_or(UnknownName("publish, subscribe or all"))
    }
}

/// No such effect or action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct UnknownName(&'static str);

pub(crate) fn empty_is_none<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    match String::deserialize(deserializer)?.as_str() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(rule: &str) -> Result<RuleConfig, String> {
        let config: Result<AclConfig, _> = toml::from_str(&format!("rules = [{rule}]"));
        config
            .map(|config| config.rules[0].clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_shape_is_checked() {
        let app = "0123456789abcdef01234567";
        let rule = format!(
            r#"{{ effect = "deny", action = "all", topic = "a", app = "{app}", user = "anna" }}"#
        );
        let rule = one(&rule).unwrap();
        assert_eq!((rule.effect, rule.action), (Effect::Deny, Action::All));
        assert_eq!(rule.app.unwrap().as_str(), app);
        assert_eq!(rule.user.unwrap().as_str(), "anna");
        for (bad, complaint) in [
            (
                r#"{ effect = "permit", action = "all", topic = "a" }"#,
                "permit",
            ),
            (
                r#"{ effect = "deny", action = "read", topic = "a" }"#,
                "read",
            ),
            (r#"{ effect = "deny", action = "all" }"#, "topic"),
            (
                r#"{ effect = "deny", action = "all", topic = "a", role = "x" }"#,
                "role",
            ),
            (
                r#"{ effect = "deny", action = "all", topic = "a", app = "short" }"#,
                "appkey",
            ),
            (
                r#"{ effect = "deny", action = "all", topic = "a", user = "$x" }"#,
                "username",
            ),
        ] {
            let error = one(bad).unwrap_err();
            assert!(error.contains(complaint), "{bad}: {error}");
        }
        assert!(toml::from_str::<AclConfig>("rulez = []").is_err());
    }

    #[test]
    fn an_empty_app_or_user_is_any() {
        let rule = one(r#"{ effect = "allow", action = "all", topic = "a", app = "", user = "" }"#);
        let rule = rule.unwrap();
        assert_eq!((rule.app, rule.user), (None, None));
        assert_eq!(
            toml::from_str::<AclConfig>("").unwrap(),
            AclConfig::default()
        );
    }
}
