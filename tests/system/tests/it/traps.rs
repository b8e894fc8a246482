//! What client libraries do that would lose, double or block messages with a naive broker. Each
//! test is a trap that the contract names.
#![cfg(test)]

mod explicit_acks;
mod first_contacts;
mod kicked_phones;
mod late_pubacks;
mod missing_handlers;
mod mixed_pubacks;
mod packet_sizes;
mod refused_batches;
mod republished_commands;
mod resumed_sessions;
mod subscription_forms;
mod syncs;
