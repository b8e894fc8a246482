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
//! The first rule that matches decides. Where none matches, devices and users are refused, the
//! app's server is always allowed, and anonymous clients, who only exist where an operator bound
//! their listener to an app, are allowed.
#![warn(missing_docs)]

mod config;
mod pattern;
mod plugin;
mod rules;

pub use config::{AclConfig, Action, Effect, RuleConfig};
pub use pattern::PatternError;
pub use plugin::Acl;
pub use rules::RuleError;
