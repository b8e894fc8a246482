//! The kit on plugins of its own.
#![cfg(test)]

mod broker;
mod suite;
mod unit;
