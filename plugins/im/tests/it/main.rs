//! The plugin against both databases, with doubles for the broker and the accounts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "this is how a test fails"
)]

mod acknowledging;
mod conformance;
mod delivering;
mod group_commit;
mod sending;
mod sizes;
mod store;
mod support;
mod syncing;
