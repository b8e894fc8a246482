//! The real binary, run as its users run it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may panic, in its helpers too"
)]

mod acl;
mod arguments;
mod configuration;
mod directory;
mod serve;
mod support;
