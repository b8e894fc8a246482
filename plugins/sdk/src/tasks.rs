//! Background work that shutdown waits for.

use std::future::Future;

use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

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
