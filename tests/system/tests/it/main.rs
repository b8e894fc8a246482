//! Whole-system tests over real sockets, one module an area.

mod chat;
mod durability;
mod isolation;
mod kernel;
mod kill;
mod session_rules;
mod stopping;
mod traps;
