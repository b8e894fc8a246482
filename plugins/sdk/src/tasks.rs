//! Background work that shutdown waits for.

mod queue;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::AbortHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use queue::{QueueFull, WorkQueue};

/// Spawns and tracks background work. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// A tracker that stops with `stop`.
    pub fn new(stop: CancellationToken) -> Self {
        Self {
            tracker: TaskTracker::new(),
            stop,
        }
    }

    /// Runs `work` until it ends. It must watch [`Tasks::stopping`] itself if it would not end. The
    /// handle is for who wants to cut it short.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.tracker.spawn(work).abort_handle()
    }

    /// Runs `work` until it ends or the plugin stops, whichever is first.
    pub fn spawn_until_stop(&self, work: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        drop(self.tracker.spawn(async move {
            let _ = stop.run_until_cancelled(work).await;
        }));
    }

    /// The same with a name: a panic is logged under it.
    pub fn spawn_named(
        &self,
        name: &'static str,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> AbortHandle {
        self.spawn(async move {
            if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                tracing::error!(task = name, "background work panicked");
            }
        })
    }

    /// Calls `work` at once and then every `period`, until the plugin stops. One call ends before
    /// the next begins; where one takes longer than the period, the next follows a period later. A
    /// panic ends its call alone, and a stop waits for the call that runs.
    pub fn every<F, Fut>(&self, name: &'static str, period: Duration, work: F) -> AbortHandle
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let stop = self.stop.clone();
        self.spawn_named(name, async move {
            let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                let working = AssertUnwindSafe(async { work().await }).catch_unwind();
                if working.await.is_err() {
                    tracing::error!(task = name, "background work panicked");
                }
            }
        })
    }

    /// Runs blocking `work` on the thread pool for it. `None` if it panicked.
    pub async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        self.tracker.spawn_blocking(work).await.ok()
    }

    /// Cancelled when the plugin is to stop.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    /// Waits until all work has ended. Called by the host after cancelling.
    pub async fn finished(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests;
