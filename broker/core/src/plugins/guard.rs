//! Around every filter call: a panic guard, a deadline, a breaker, and the policy on faults.

use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use partyline_plugin::{HookEntry, HookResult, OnFault};
use tokio::time::Instant;

/// Faults within [`BREAKER_WINDOW`] that open the breaker.
const BREAKER_FAULTS: u32 = 5;
const BREAKER_WINDOW: Duration = Duration::from_secs(30);

/// A hook with its plugin's name and its breaker.
pub(super) struct Guarded<H: ?Sized> {
    pub(super) plugin: &'static str,
    pub(super) entry: HookEntry<H>,
    breaker: Mutex<Breaker>,
}

#[derive(Default)]
struct Breaker {
    faults: u32,
    since: Option<Instant>,
}

impl Breaker {
    fn fault(&mut self) {
        let now = Instant::now();
        if self.since.is_none_or(|since| now - since > BREAKER_WINDOW) {
            *self = Self {
                faults: 0,
                since: Some(now),
            };
        }
        self.faults += 1;
    }

    fn is_open(&self) -> bool {
        self.faults >= BREAKER_FAULTS
            && self
                .since
                .is_some_and(|since| since.elapsed() <= BREAKER_WINDOW)
    }
}

/// A hook whose registration denies on faults could not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Faulted;

impl<H: ?Sized> Guarded<H> {
    pub(super) fn new(plugin: &'static str, entry: HookEntry<H>) -> Self {
        Self {
            plugin,
            entry,
            breaker: Mutex::default(),
        }
    }

    /// The hook's verdict, or what the policy says in its place.
    pub(super) async fn call<V>(
        &self,
        call: impl Future<Output = HookResult<V>>,
        next: V,
    ) -> Result<V, Faulted> {
        let by_policy = |next| match self.entry.options.on_fault {
            OnFault::Skip => Ok(next),
            OnFault::Deny => Err(Faulted),
        };
        if self.breaker.lock().is_open() {
            return by_policy(next);
        }
        let mut call = std::pin::pin!(AssertUnwindSafe(call).catch_unwind());
        // Most hooks are ready at once: only for those that wait is a timer set.
        let first = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        let ended = match first {
            Poll::Ready(ended) => Ok(ended),
            Poll::Pending => tokio::time::timeout(self.entry.options.deadline, call).await,
        };
        match ended {
            Ok(Ok(Ok(verdict))) => return Ok(verdict),
            Ok(Ok(Err(error))) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(plugin = self.plugin, ?cause, "a hook failed");
            }
            Ok(Err(_)) => tracing::error!(plugin = self.plugin, "a hook panicked"),
            Err(_) => tracing::warn!(plugin = self.plugin, "a hook missed its deadline"),
        }
        self.breaker.lock().fault();
        by_policy(next)
    }
}
