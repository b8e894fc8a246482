//! One client's connection: its task reads, decides, and writes.
//!
//! Everything a client sends is handled here in the order in which it came. What waits for it to
//! be sent lies in its session ([`crate::session`]); what it asked of plugins runs in tasks of its
//! own and is answered from [`pending`].

mod aliases;
mod authorize;
mod command;
mod handshake;
mod inbound;
mod pending;
mod publish;
mod subscribe;
mod wire;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::MutexGuard;
use partyline_plugin::{CloseReason, ProtocolVersion, Qos, Reason, SessionInfo};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep_until, timeout_at};

use self::aliases::TopicAliases;
use self::inbound::Flow;
use self::pending::Pending;
use self::wire::{Moved, Wire, part};
use crate::codec::Codec;
use crate::kernel::Kernel;
use crate::packet::ProtocolError;
use crate::session::{Aliases, Attachment, Detach, Fill, Pace, Session, State, Stop};
use crate::sweeper::coarse_secs;
use crate::transport::Transport;

pub(crate) use authorize::{Refused, covered_outlets};

/// Bytes of output after which nothing more is taken from the queue.
const QUEUE_WATER: usize = 64 * 1024;
/// Bytes of output beyond what the queue may bring after which nothing more is read. The queue
/// alone must never reach this mark: who reads slowly is heard all the same.
const ANSWER_WATER: usize = 64 * 1024;
/// How long the last packets of a connection may take to leave.
const FLUSH_TIME: Duration = Duration::from_secs(2);

/// A connection that has been admitted.
pub(crate) struct Connection {
    kernel: Arc<Kernel>,
    session: Arc<Session>,
    attachment: Arc<Attachment>,
    codec: Codec,
    fill: Fill,
    wire: Wire,
    pending: Pending,
    pace: Pace,
    /// From the client.
    aliases: TopicAliases,
    /// To the client.
    aliases_out: Aliases,
}

/// Why a connection ended.
enum End {
    /// The client said goodbye.
    Disconnect {
        publish_will: bool,
        expiry_secs: Option<u32>,
    },
    /// The socket closed or failed.
    Closed,
    /// It broke the protocol.
    Error(ProtocolError),
    /// The broker asked for it.
    Stopped(Stop),
}

impl End {
    /// What observers are told.
    fn reason(&self) -> CloseReason {
        match self {
            Self::Disconnect { .. } => CloseReason::Disconnected,
            Self::Closed => CloseReason::Lost,
            Self::Error(error) => CloseReason::ProtocolError(error.reason),
            Self::Stopped(stop) => CloseReason::Ended(stop.reason),
        }
    }
}

/// Serves one socket from its first byte of MQTT to its last. Who is let in is decided by the
/// deadline.
pub(crate) async fn serve(
    kernel: Arc<Kernel>,
    mut transport: Transport,
    peer: SocketAddr,
    deadline: Instant,
) {
    // What comes once, at the beginning and at the end, lies on the heap while it lasts: the
    // future of an idle connection holds only what an idle connection needs.
    let accepted = handshake::accept(&kernel, &mut transport, peer, deadline);
    let Some(mut connection) = Box::pin(accepted).await else {
        return;
    };
    let run = AssertUnwindSafe(connection.run(&mut transport)).catch_unwind();
    // Its session must be left in order, whatever happened.
    let end = run.await.unwrap_or_else(|_| {
        tracing::error!(session.device = %connection.session.key, "a connection panicked");
        End::Error(ProtocolError::new(
            Reason::UnspecifiedError,
            "an error of the broker",
        ))
    });
    Box::pin(connection.finish(&mut transport, end)).await;
}

impl Connection {
    fn info(&self) -> Arc<SessionInfo> {
        self.attachment.info()
    }

    /// The session's state while it belongs to this connection: one that was taken over has no
    /// say in it any more.
    fn held(&self) -> Option<MutexGuard<'_, State>> {
        self.session.held_by(self.attachment.id)
    }

    fn is_v5(&self) -> bool {
        self.codec.version() == ProtocolVersion::V5
    }

    async fn run(&mut self, transport: &mut Transport) -> End {
        loop {
            if let Some(stop) = self.attachment.signal.stopped() {
                return End::Stopped(stop);
            }
            let handled = self.handle_input().await;
            self.add_up();
            match handled {
                Ok(Flow::Go) => {}
                Ok(Flow::Disconnect {
                    publish_will,
                    expiry_secs,
                }) => {
                    return End::Disconnect {
                        publish_will,
                        expiry_secs,
                    };
                }
                Err(error) => return End::Error(error),
            }
            self.pending.settle(&mut self.codec, &mut self.wire.output);
            if self.fill_output() {
                self.attachment.signal.wake();
                // So that a long search does not keep others from their turn.
                tokio::task::yield_now().await;
            }
            if let Err(end) = self.wait(transport).await {
                return end;
            }
        }
    }

    /// Adds what was counted to what the app has.
    fn add_up(&mut self) {
        self.session.space.traffic.add_tally(&mut self.codec.tally);
    }

    /// Whether the client's answers do not pile up. The last message that the queue brings may go
    /// over its mark by a whole packet.
    fn has_room(&self) -> bool {
        let largest = self.kernel.config.limits.packet_bytes as usize;
        self.wire.output.len() < QUEUE_WATER + largest + ANSWER_WATER
    }

    /// True if there is more to look for, at once.
    fn fill_output(&mut self) -> bool {
        let (id, output) = (self.attachment.id, &mut self.wire.output);
        let aliases = &mut self.aliases_out;
        self.session.fill(id, self.fill, aliases, output)
    }

    /// Waits until there is something to do, reading and writing meanwhile.
    async fn wait(&mut self, transport: &mut Transport) -> Result<(), End> {
        let paused_until = self.pace.paused_until();
        let deadline = self.pending.deadline();
        let resume = paused_until.or(deadline.filter(|_| self.pending.is_full()));
        if let Some(resume) = resume {
            // Silence is not the client's fault while the broker does not listen.
            let secs = resume.saturating_duration_since(Instant::now()).as_secs();
            let pause = u32::try_from(secs).unwrap_or(u32::MAX);
            self.attachment.seen(coarse_secs().saturating_add(pause));
        }
        let may_read = resume.is_none() && !self.pending.is_full() && self.has_room();
        self.wire.release_empty();
        let (attachment, wire) = (&self.attachment, &mut self.wire);
        tokio::select! {
            moved = poll_fn(|cx| wire.poll(cx, transport, may_read)) => match moved {
                Ok(Moved { read, written }) => self.session.space.traffic.add_bytes(read, written),
                Err(_) => return Err(End::Closed),
            },
            () = attachment.signal.woken() => {}
            () = until(paused_until), if paused_until.is_some() => {}
            () = until(deadline), if deadline.is_some() => {
                let message = "a command took too long";
                return Err(End::Error(ProtocolError::new(
                    Reason::ImplementationSpecificError,
                    message,
                )));
            }
        }
        Ok(())
    }

    /// Leaves the session, says goodbye, and publishes the will if one is due.
    async fn finish(mut self, transport: &mut Transport, end: End) {
        let (publish_will, expiry_secs) = match &end {
            End::Disconnect {
                publish_will,
                expiry_secs,
            } => (*publish_will, *expiry_secs),
            End::Stopped(stop) => (stop.publish_will, None),
            End::Closed | End::Error(_) => (true, None),
        };
        let mut flush_time = FLUSH_TIME;
        if let End::Stopped(Stop { drain: true, .. }) = &end {
            self.drain().await;
            let flush_until = Instant::now() + FLUSH_TIME;
            // What the client does not take in time is dropped.
            let _ = timeout_at(flush_until, self.flush_queue(transport)).await;
            flush_time = flush_until.saturating_duration_since(Instant::now());
        }
        let how = Detach {
            publish_will,
            expiry_secs,
            reason: end.reason(),
        };
        let max_expiry = self.kernel.config.mqtt.max_session_expiry;
        let registry = &self.kernel.registry;
        let will = registry.detach(&self.session, self.attachment.id, &how, max_expiry);
        if let Some(will) = will {
            self.kernel.publish_will(&self.session, will).await;
        }
        self.close_outlets().await;
        self.say_goodbye(&end);
        self.add_up();
        self.session
            .space
            .traffic
            .add_bytes(0, self.wire.output.len());
        let goodbye = part(transport, &mut self.wire.output, &self.kernel.stopping);
        if tokio::time::timeout(flush_time, goodbye).await.is_err() {
            tracing::debug!(session.device = %self.session.key, "the client did not part in time");
        }
    }

    /// Writes all that may be sent without another word of the client.
    async fn flush_queue(&mut self, transport: &mut Transport) -> io::Result<()> {
        loop {
            let more = self.fill_output();
            if self.wire.output.is_empty() {
                if more {
                    tokio::task::yield_now().await;
                    continue;
                }
                return Ok(());
            }
            let written = self.wire.output.len();
            transport.write_all_buf(&mut self.wire.output).await?;
            self.session.space.traffic.add_bytes(0, written);
        }
    }

    /// Waits for the commands in progress, so that what was done is also acknowledged.
    async fn drain(&mut self) {
        loop {
            self.pending.settle(&mut self.codec, &mut self.wire.output);
            let Some(deadline) = self.pending.deadline() else {
                return;
            };
            tokio::select! {
                () = self.attachment.signal.woken() => {}
                () = sleep_until(deadline) => return,
            }
        }
    }

    fn say_goodbye(&mut self, end: &End) {
        let device = &self.session.key;
        match end {
            End::Disconnect { .. } => tracing::debug!(session.device = %device, "disconnected"),
            End::Closed => {
                self.wire.output.clear();
                tracing::debug!(session.device = %device, "the connection was lost");
            }
            End::Error(error) => {
                self.kernel.metrics.disconnects.count(error.reason);
                tracing::info!(session.device = %device, reason = %error.reason, %error, "protocol error");
                let message = Some(error.detail.as_str());
                self.codec
                    .disconnect(error.reason, message, &mut self.wire.output);
            }
            End::Stopped(stop) => {
                self.kernel.metrics.disconnects.count(stop.reason);
                tracing::debug!(session.device = %device, reason = %stop.reason, "connection stopped");
                if let Some(notice) = stop.notice.as_ref().filter(|_| !self.is_v5()) {
                    notice.write(Qos::AtMostOnce, 0, false, false, &mut self.wire.output);
                }
                let message = stop.message.as_deref();
                self.codec
                    .disconnect(stop.reason, message, &mut self.wire.output);
            }
        }
    }
}

async fn until(instant: Option<Instant>) {
    if let Some(instant) = instant {
        sleep_until(instant).await;
    }
}
