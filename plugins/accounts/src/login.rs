//! A user's login, the same for CONNECT and for `$im/session/login`.

mod attempt;
mod error;
mod transaction;

pub(crate) use attempt::{Attempt, Brought, LoggedInOn};
pub(crate) use error::LoginError;
pub(crate) use transaction::{LogIn, LoginOutcome, Place, Proof, end_and_ban};
