//! The tests of `it`, on PostgreSQL.

use partyline_testkit::Backend;

/// The database of each world.
const BACKEND: Backend = Backend::Postgres;

#[cfg(test)]
#[path = "../it/changes.rs"]
mod changes;
#[cfg(test)]
#[path = "../it/classes.rs"]
mod classes;
#[cfg(test)]
#[path = "../it/devices.rs"]
mod devices;
#[cfg(test)]
#[path = "../it/notices.rs"]
mod notices;
#[cfg(test)]
#[path = "../it/passwords.rs"]
mod passwords;
#[cfg(test)]
#[path = "../it/servers.rs"]
mod servers;
#[cfg(test)]
#[path = "../it/session_commands.rs"]
mod session_commands;
#[cfg(test)]
#[path = "../it/support/mod.rs"]
mod support;
#[cfg(test)]
#[path = "../it/users.rs"]
mod users;
