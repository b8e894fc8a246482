//! A broker double and a world around the plugin.

mod broker;
mod streams;
mod world;

pub(crate) use broker::TestBroker;
pub(crate) use streams::TestStreams;
pub(crate) use world::{Connected, World, name_property, read_notice, user};

/// Waits until the condition holds; the test runner's own timeout is the longer one.
macro_rules! eventually {
    ($condition:expr) => {{
        let mut left = 1000;
        while !$condition {
            assert!(left > 0, "never came true: {}", stringify!($condition));
            left -= 1;
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }};
}

pub(crate) use eventually;
