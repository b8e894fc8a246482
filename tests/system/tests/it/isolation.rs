//! A client of one app cannot see, guess or disturb another app. Both apps have users and devices
//! of the same names.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod credentials;
mod identities;
mod neighbours;
mod places;
mod plain_topics;
mod targets;
