//! Apps, users, devices and login tokens: decides who a connection is.
//!
//! [`AccountsPlugin`] is the plugin: it authenticates connections, answers login, logout, devices
//! and kick under `$im/session/`, and tells every client what it must know on `$session`.
//! [`Directory`] changes what the plugin decides by; the command line of another process may use it
//! beside a running server, which follows its changes through a log in the database.

mod address;
mod authenticate;
mod ban;
mod buckets;
mod cache;
mod commands;
pub mod config;
mod connect_name;
mod contact;
mod directory;
mod ending;
mod enforcer;
mod failures;
mod hashing;
mod issued;
mod login;
mod notice;
mod outlet;
mod password;
mod plugin;
mod registration;
mod secret;
mod seen;
mod store;
mod turns;
mod upkeep;

pub use config::Config;
pub use directory::{AppInfo, Developer, Directory, DirectoryError, FirstStart, NewApp};
pub use hashing::{BadCost, HashError};
pub use password::PasswordError;
pub use plugin::AccountsPlugin;
pub use registration::{Registration, UnknownRegistration};
