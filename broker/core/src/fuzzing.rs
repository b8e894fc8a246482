//! The whole kernel over memory, driven by bytes: for fuzzing, and for replaying what fuzzing found.
//!
//! A script lets three clients of two apps connect, send whole packets and raw bytes, come back and
//! leave. Everything that the broker says is decoded strictly and held against what was sent: no
//! acknowledgement without its packet, no packet id twice in flight, no more than the window, and
//! when all have gone and their sessions are over, nothing is left. A fault is a panic.
//!
//! Time is virtual, and a script runs always the same.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what is found here must be loud"
)]

mod decode;
mod door;
mod encode;
mod peer;
mod script;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::protocol::AppKey;
use partyline_plugin::{Clock, Tasks};
use tokio::time::{Instant, sleep, timeout};

use crate::config::BrokerConfig;
use crate::connection;
use crate::kernel::Kernel;
use crate::{store, sweeper};
use door::Door;
use peer::Peer;

/// The apps of the clients.
const APPS: [&str; 2] = ["aaaaaaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbbbbbb"];
/// The longest that a session waits for its client, seconds.
const EXPIRY: u32 = 120;
/// Messages in flight, each way.
const IN_FLIGHT: u16 = 4;
/// Bytes between a client and the broker, each way.
const PIPE: usize = 64 * 1024;

/// The kinds of packets that the broker said: packet type, and the QoS of a PUBLISH.
pub type Heard = BTreeSet<(u8, u8)>;

/// Runs one script; gives what was said.
///
/// # Panics
///
/// If the broker broke a rule.
pub fn run(script: &[u8]) -> Heard {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime can be made");
    runtime.block_on(async {
        let sandbox = Sandbox::new();
        let heard = script::play(&sandbox, script).await;
        sandbox.close().await;
        heard
    })
}

/// A kernel without sockets.
struct Sandbox {
    kernel: Arc<Kernel>,
    door: Arc<Door>,
}

impl Sandbox {
    fn new() -> Self {
        let kernel = Arc::new(Kernel::new(config(), Clock::default()));
        let door = Arc::new(Door::default());
        kernel.hooks.store(Arc::new(door.hooks()));
        sweeper::spawn(&kernel);
        let storing = Tasks::default();
        storing.spawn(store::write_nothing(Arc::clone(&kernel.journal)));
        Self { kernel, door }
    }

    /// A connection on which nothing has been sent yet.
    fn open(&self) -> Peer {
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let kernel = Arc::clone(&self.kernel);
        self.kernel.spawn_socket(async move {
            let limit = Duration::from_secs(kernel.config.mqtt.connect_timeout.into());
            let deadline = Instant::now() + limit;
            let peer = ([127, 0, 0, 1], 1).into();
            connection::serve(kernel, Box::new(theirs), peer, deadline).await;
        });
        Peer::new(ours)
    }

    /// All have gone: when their time is over, nothing is left of them.
    async fn close(self) {
        // A CONNECT that waits for the disk, which there is none of here, is refused only then, and
        // what it took up begins to wait for its client.
        let refused = self.kernel.config.limits.command_timeout;
        let everything = Duration::from_secs(u64::from(EXPIRY) + u64::from(refused) + 5);
        sleep(everything).await;
        let left = self.kernel.registry.sessions(None);
        assert!(left.is_empty(), "sessions are left: {}", left.len());
        for app in APPS {
            let app = AppKey::parse(app).expect("a key");
            let space = self.kernel.space(&app);
            assert!(space.has_no_subscriptions(), "subscriptions are left");
        }
        let stopped = timeout(Duration::from_mins(1), self.kernel.stop()).await;
        assert!(stopped.is_ok(), "the broker does not stop");
    }
}

/// Limits so low that scripts meet them.
fn config() -> BrokerConfig {
    let mut config = BrokerConfig::default();
    config.mqtt.max_session_expiry = EXPIRY;
    let limits = &mut config.limits;
    limits.packet_bytes = 1024;
    limits.topic_bytes = 64;
    limits.topic_levels = 8;
    limits.subscriptions = 4;
    limits.in_flight = IN_FLIGHT;
    limits.queued_messages = 8;
    limits.queued_bytes = 8 * 1024;
    limits.retained_messages = 4;
    limits.detached_sessions = 2;
    limits.command_burst = 8;
    config
}

#[cfg(test)]
mod tests;
