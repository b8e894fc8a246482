//! Small plugins to learn from, each in a file of its own. They work as they stand, and their tests
//! run them in a broker over real sockets.
//!
//! | plugin | shows |
//! |---|---|
//! | [`DenyWildcard`] | a filter of subscriptions |
//! | [`PayloadLimit`] | filters of messages and wills in the phase Validate; a configuration that is reloaded |
//! | [`TopicRewrite`] | filters in the phase Rewrite; a subscription on behalf of a session |
//! | [`AuditLog`] | an observer, and blocking work off the broker's threads |
//! | [`Presence`] | an observer that publishes; tables of one's own; long-running work |
//! | [`Echo`] | a command with its reply |
//!
//! The guide for authors of plugins is `docs/plugin-guide.md`.
#![warn(missing_docs)]

mod audit_log;
mod deny_wildcard;
mod echo_command;
mod payload_limit;
mod presence;
mod topic_rewrite;

pub use audit_log::{AuditLog, AuditLogConfig};
pub use deny_wildcard::{DenyWildcard, DenyWildcardConfig};
pub use echo_command::{Echo, EchoConfig, Said, Words};
pub use payload_limit::{PayloadLimit, PayloadLimitConfig, PrefixLimit};
pub use presence::{Presence, PresenceConfig};
pub use topic_rewrite::{Rewrite, TopicRewrite, TopicRewriteConfig};

/// The code of the guide, compiled and run by `cargo test --doc`.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/plugin-guide.md")]
mod guide {
    // For the operator's program.
    use partyline as _;
}
