//! A case: what a client does, and what a broker must then do.

use std::future::Future;
use std::pin::Pin;

use crate::Stage;

/// What a case comes to.
pub(crate) type Verdict = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>>;

/// A test of one or more statements. It fails on a broker that breaks one of them.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What is seen, as a function's name.
    pub name: &'static str,
    /// The ids of the statements that it tests.
    pub statements: &'static [&'static str],
    /// Runs it.
    pub(crate) run: fn(Stage) -> Verdict,
}

/// The error of a case that needs what the broker does not have to offer, such as a WebSocket
/// listener.
#[derive(Debug)]
pub struct NotOffered(pub &'static str);

impl std::fmt::Display for NotOffered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the broker offers no {}", self.0)
    }
}

impl std::error::Error for NotOffered {}

/// A [`Case`] of this function and the statements that it tests.
macro_rules! case {
    ($function:ident, $($statement:literal),+ $(,)?) => {
        $crate::case::Case {
            name: stringify!($function),
            statements: &[$($statement),+],
            run: |stage| Box::pin($function(stage)),
        }
    };
}

pub(crate) use case;
