//! Who connects, as whom, on which device, and for how long.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod classes;
mod credentials;
mod deleted_users;
mod device_places;
mod entrance;
mod kicks;
mod logins;
mod principals;
mod registration;
mod switched_users;
mod tokens;
mod topic_rules;
