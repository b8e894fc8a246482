//! Who connects, as whom, on which device, and for how long.
#![cfg(test)]

mod access_rules;
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
