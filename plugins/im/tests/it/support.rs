//! Doubles and fixtures.

pub(crate) mod accounts;
pub(crate) mod broker;
pub(crate) mod database;
pub(crate) mod fixture;

pub(crate) use broker::{Delivered, FakeBroker};
pub(crate) use database::on_both;
pub(crate) use fixture::{Fixture, app, user};
