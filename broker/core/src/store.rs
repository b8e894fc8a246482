//! What survives the process: sessions with an expiry above 0 and retained messages.
//!
//! Memory is the working copy; the database is a journal of it that is read at start ([`load`]).
//! A change is handed to the [`Journal`] under the lock of what it changes, which costs no wait.
//! One task writes all that came since its last transaction in the next one, and says which
//! [`Ticket`] is on disk then. What must not be acknowledged before waits for its ticket.
//!
//! Changes are coalesced by key: a message that was queued and acknowledged before its transaction
//! began never touches the disk.

mod batch;
mod journal;
mod load;
mod packet;
mod postgres;
mod record;
mod row;
mod sqlite;
mod steps;
mod writer;

#[cfg(test)]
mod tests;

use partyline_plugin::database::Migrations;

pub(crate) use journal::{Journal, Ticket};
pub(crate) use load::{Loaded, LoadedMessage, LoadedSession, load};
pub(crate) use packet::encode;
pub(crate) use record::{SessionRecord, Stage, WillRecord};
pub(crate) use row::{Body, RetainedPlace, Row, SessionRows};
pub(crate) use writer::Writer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use writer::write_nothing;

/// The id under which the kernel's own tables are brought up to date.
pub(crate) const KERNEL: &str = "kernel";

pub(crate) const MIGRATIONS: Migrations = Migrations {
    sqlite: &[(
        "sessions",
        include_str!("../migrations/sqlite/0001_sessions.sql"),
    )],
    postgres: &[(
        "sessions",
        include_str!("../migrations/postgres/0001_sessions.sql"),
    )],
};
