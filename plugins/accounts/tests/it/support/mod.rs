//! A broker double and a world around the plugin.

mod broker;
mod contents;
pub(crate) mod database;
mod streams;
mod world;

pub(crate) use broker::TestBroker;
pub(crate) use contents::contents;
pub(crate) use streams::TestStreams;
pub(crate) use world::{Connected, World, name_property, read_notice, user};

/// Waits until the condition holds. It is asked again whenever the others have had their turn.
macro_rules! eventually {
    ($condition:expr) => {{
        let holds = async {
            while !$condition {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(partyline_testkit::PATIENCE, holds).await;
        assert!(
            waited.is_ok(),
            "never came true: {}",
            stringify!($condition)
        );
    }};
}

pub(crate) use eventually;
