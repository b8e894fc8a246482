//! For tests of plugins, at three levels.
//!
//! 1. [`TestContext`] builds a plugin without a broker: a [`FakeBroker`] records its calls, and the
//!    test calls its hooks and commands.
//! 2. [`TestBroker`] starts the real kernel with the plugins under test on free ports and a database
//!    in a temporary folder. [`RawClient`] speaks MQTT 3.1, 3.1.1 or 5 to it packet by packet: it
//!    acknowledges nothing by itself, so a test can be late, silent or wrong on purpose.
//! 3. [`conformance!`] tests what every plugin should do, in a line.
//!
//! Nothing here waits by sleeping: every wait is for a packet, within [`PATIENCE`].
#![warn(missing_docs)]

mod broker;
mod conformance;
mod http;
mod open_door;
mod raw;
mod scratch;
mod unit;

use std::time::Duration;

#[doc(hidden)]
pub use anyhow;
pub use broker::{TestBroker, TestBrokerBuilder};
pub use conformance::Conformance;
#[doc(hidden)]
pub use conformance::run;
pub use http::{HttpClient, HttpReply};
pub use open_door::OpenDoor;
pub use partyline_broker::{AdminToken, BrokerConfig, ChainDescription, ReloadOutcome, TlsConfig};
pub use raw::{
    ConnAck, ConnectOptions, ConnectionClosed, Packet, Properties, Property, Publish, RawClient,
    Version,
};
pub use scratch::{Backend, POSTGRES_VARIABLE, ScratchDatabase};
pub use unit::{
    FakeBroker, TEST_APP, TestContext, TestPlugin, TrackedDelivery, device, message, session,
};

/// How long a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);
