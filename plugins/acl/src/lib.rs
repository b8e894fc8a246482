//! Access rules for plain topics: who may publish and subscribe outside `$`.
//!
//! ```toml
//! [plugins.acl]
//! rules = [
//!     { effect = "deny", action = "all", topic = "secret/#" },
//!     { effect = "allow", action = "publish", topic = "devices/%c/state" },
//!     { effect = "allow", action = "subscribe", topic = "devices/%c/#" },
//! ]
//! ```
//!
//! Each app can have rules of its own, which [`AppRules`] keeps in the database. They are asked after
//! the operator's, so that none of them opens or closes what the operator has decided. A running
//! broker sees their changes within about a second, and checks saved subscriptions again.
//!
//! The first rule that matches decides. Where none matches, devices and users are refused, the
//! app's server is always allowed, and anonymous clients, who only exist where an operator bound
//! their listener to an app, are allowed.
#![warn(missing_docs)]

mod app_rules;
mod config;
mod pattern;
mod plugin;
mod rulebook;
mod rules;
mod store;
mod upkeep;

pub use app_rules::{AppRule, AppRules, AppRulesError};
pub use config::{AclConfig, Action, Effect, RuleConfig, UnknownName};
pub use pattern::PatternError;
pub use plugin::Acl;
pub use rules::RuleError;
