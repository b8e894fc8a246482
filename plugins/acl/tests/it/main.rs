//! Rules of apps on a running broker: what changes is in force at once, also for what was granted.
#![cfg(test)]

mod changes;
mod conformance;
mod door;
