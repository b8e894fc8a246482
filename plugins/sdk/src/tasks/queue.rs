//! A bounded queue with workers.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use tokio::sync::{Mutex, mpsc};

use super::Tasks;

/// The queue is full, or the plugin stops; here is what did not go in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the work queue takes nothing more")]
pub struct QueueFull<T>(pub T);

/// Takes work for workers that do it one after the other. Cheap to clone.
pub struct WorkQueue<T> {
    sender: mpsc::Sender<T>,
    dropped: Arc<AtomicU64>,
}

impl<T> Clone for WorkQueue<T> {
    fn clone(&self) -> Self {
        Self {
            sender: self.sender.clone(),
            dropped: Arc::clone(&self.dropped),
        }
    }
}

impl<T> WorkQueue<T> {
    /// Puts work in if there is room, and counts it if there is none.
    pub fn push(&self, work: T) -> Result<(), QueueFull<T>> {
        self.sender.try_send(work).map_err(|error| {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            QueueFull(error.into_inner())
        })
    }

    /// Puts work in when there is room; an error if the plugin stops.
    pub async fn send(&self, work: T) -> Result<(), QueueFull<T>> {
        let sent = self.sender.send(work).await;
        sent.map_err(|error| QueueFull(error.0))
    }

    /// What waits now.
    pub fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    /// What found no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for WorkQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkQueue")
            .field("waiting", &self.waiting())
            .field("dropped", &self.dropped())
            .finish()
    }
}

impl Tasks {
    /// A queue of at most `capacity` pieces of work, and `workers` that call `work` with them, each
    /// one at a time. A panic costs the piece alone. When the plugin stops, the queue takes nothing
    /// more, and what is in it is still done, for as long as the stop may take.
    ///
    /// ```no_run
    /// use partyline_plugin::Tasks;
    ///
    /// fn start(tasks: &Tasks) {
    ///     let letters = tasks.queue("letters", 100, 2, async |address: String| {
    ///         println!("writing to {address}");
    ///     });
    ///     if letters.push("alice@example.org".to_owned()).is_err() {
    ///         println!("too many letters wait");
    ///     }
    /// }
    /// ```
    pub fn queue<T, F, Fut>(
        &self,
        name: &'static str,
        capacity: usize,
        workers: usize,
        work: F,
    ) -> WorkQueue<T>
    where
        T: Send + 'static,
        F: Fn(T) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let (receiver, work) = (Arc::new(Mutex::new(receiver)), Arc::new(work));
        for _ in 0..workers.max(1) {
            let (receiver, work) = (Arc::clone(&receiver), Arc::clone(&work));
            let stop = self.stopping().clone();
            self.spawn_named(name, async move {
                while let Some(piece) = next(&receiver, &stop).await {
                    // The closure may panic before it has made its future.
                    let working = AssertUnwindSafe(async { work(piece).await }).catch_unwind();
                    if working.await.is_err() {
                        tracing::error!(queue = name, "a piece of work panicked");
                    }
                }
            });
        }
        WorkQueue {
            sender,
            dropped: Arc::default(),
        }
    }
}

/// The next piece; after the stop, until there is none.
async fn next<T>(
    receiver: &Mutex<mpsc::Receiver<T>>,
    stop: &tokio_util::sync::CancellationToken,
) -> Option<T> {
    let mut receiver = receiver.lock().await;
    tokio::select! {
        biased;
        piece = receiver.recv() => piece,
        () = stop.cancelled() => {
            receiver.close();
            receiver.recv().await
        }
    }
}
