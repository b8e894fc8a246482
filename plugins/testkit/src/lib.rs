//! For tests of plugins: a broker in the test's own process, and a client that does exactly what
//! it is told.
//!
//! [`TestBroker`] starts the real kernel with the plugins under test on free ports and a database
//! in a temporary folder. [`RawClient`] speaks MQTT 3.1, 3.1.1 or 5 packet by packet: it
//! acknowledges nothing by itself, so a test can be late, silent or wrong on purpose.
//!
//! Nothing here waits by sleeping: every wait is for a packet, within [`PATIENCE`].
#![warn(missing_docs)]

mod broker;
mod open_door;
mod raw;
mod scratch;

use std::time::Duration;

pub use broker::{TestBroker, TestBrokerBuilder};
pub use open_door::OpenDoor;
pub use partyline_broker::{BrokerConfig, ChainDescription, ReloadOutcome, TlsConfig};
pub use raw::{
    ConnAck, ConnectOptions, ConnectionClosed, Packet, Properties, Property, Publish, RawClient,
    Version,
};
pub use scratch::{Backend, POSTGRES_VARIABLE, ScratchDatabase};

/// How long a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);
