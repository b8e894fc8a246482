//! Retention and forgotten connections, swept from time to time.

use std::sync::Arc;
use std::time::Duration;

use partyline_plugin::CancellationToken;
use partyline_protocol::MessageId;

use crate::message_id;
use crate::plugin::Im;
use crate::store::{self, StreamId};

/// How often the retention is swept.
const RETENTION_EVERY: Duration = Duration::from_mins(10);

/// How often connections are looked at that ended without a word.
const SESSIONS_EVERY: Duration = Duration::from_secs(30);

/// Streams that are looked at in one go.
const STREAMS: u32 = 200;

/// Messages of one transaction.
const MESSAGES: u32 = 500;

impl Im {
    pub(crate) async fn sweep_until(self: Arc<Self>, stop: CancellationToken) {
        let mut retention = tokio::time::interval(RETENTION_EVERY);
        let mut sessions = tokio::time::interval(SESSIONS_EVERY);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = sessions.tick() => self.forget_gone_sessions(),
                _ = retention.tick() => {
                    let Some(swept) = stop.run_until_cancelled(self.sweep()).await else { return };
                    if let Err(error) = swept {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "retention not swept, trying again later"
                        );
                    }
                }
            }
        }
    }

    /// Forgets the sessions whose connection is gone. Runs by itself every 30 seconds.
    pub fn forget_gone_sessions(&self) {
        self.deliveries.reap_all();
    }

    /// Removes what retention no longer keeps. Runs by itself every ten minutes.
    pub async fn sweep(&self) -> store::Result<()> {
        let now_ms = crate::now_ms(&self.clock);
        let since_ms = self.config.kept(now_ms).since_ms;
        let mut after = StreamId::default();
        loop {
            let swept = self.store.sweep_items(after, since_ms, STREAMS).await?;
            let Some(last) = swept.last else { break };
            after = last;
            // Between small transactions others get their turn.
            tokio::task::yield_now().await;
        }
        let oldest = message_id::first_of(self.config.history_since(now_ms));
        let Ok(below) = MessageId::parse(oldest) else {
            return Ok(());
        };
        while self.store.sweep_messages(below, MESSAGES).await? == u64::from(MESSAGES) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
