//! Around every filter call: a panic guard, a deadline, a breaker, and the policy on faults.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use partyline_plugin::host::{HookEntry, without_broker};
use partyline_plugin::{HookError, HookResult, OnFault, Phase};

use super::breaker::Breaker;
use super::description::HookDescription;
use super::stats::{Stats, Timing, count};

/// A hook with its plugin's name, its breaker and its counters.
pub(super) struct Guarded<H: ?Sized> {
    pub(super) plugin: &'static str,
    pub(super) entry: HookEntry<H>,
    breaker: Breaker,
    stats: Stats,
}

/// A hook could not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Faulted;

/// A call that has not ended. Who waited may have given it up, as a CONNECT does when its time is
/// over. That counts as late and is no fault: the client may have left it no time.
struct Waiting<'a, H: ?Sized>(Option<&'a Guarded<H>>);

impl<H: ?Sized> Drop for Waiting<'_, H> {
    fn drop(&mut self) {
        if let Some(hook) = self.0 {
            count(&hook.stats.timeouts);
            tracing::debug!(plugin = hook.plugin, "a hook was waited for in vain");
        }
    }
}

/// How a call ended.
enum Ended<V> {
    Verdict(V),
    Error(HookError),
    Panic,
    Late,
}

impl<V> From<Result<HookResult<V>, Box<dyn Any + Send>>> for Ended<V> {
    fn from(result: Result<HookResult<V>, Box<dyn Any + Send>>) -> Self {
        match result {
            Ok(Ok(verdict)) => Self::Verdict(verdict),
            Ok(Err(error)) => Self::Error(error),
            Err(_) => Self::Panic,
        }
    }
}

impl<H: ?Sized> Guarded<H> {
    pub(super) fn new(plugin: &'static str, entry: HookEntry<H>) -> Self {
        Self {
            plugin,
            entry,
            breaker: Breaker::default(),
            stats: Stats::default(),
        }
    }

    /// Whether the hook is passed over where it could not reach a verdict.
    pub(super) fn is_skipped(&self) -> bool {
        self.entry.options.on_fault == OnFault::Skip
    }

    /// The hook's verdict, if it could reach one.
    pub(super) async fn call<V>(
        &self,
        call: impl Future<Output = HookResult<V>>,
    ) -> Result<V, Faulted> {
        if !self.admits() {
            return Err(Faulted);
        }
        let timing = self.stats.begin();
        let mut call = std::pin::pin!(AssertUnwindSafe(call).catch_unwind());
        // Most hooks are ready at once: only for those that wait is a timer set.
        let first = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx))).await;
        let ended = match first {
            Poll::Ready(ended) => ended.into(),
            Poll::Pending => {
                let mut waiting = Waiting(Some(self));
                let ended = tokio::time::timeout(self.entry.options.deadline, call).await;
                waiting.0 = None;
                match ended {
                    Ok(ended) => ended.into(),
                    Err(_) => Ended::Late,
                }
            }
        };
        self.settle(timing, ended)
    }

    /// The verdict of a hook that is not async, if it could reach one. It must not call the broker.
    pub(super) fn call_now<V>(&self, call: impl FnOnce() -> V) -> Result<V, Faulted> {
        if !self.admits() {
            return Err(Faulted);
        }
        let timing = self.stats.begin();
        let call = AssertUnwindSafe(|| without_broker(call));
        let ended = match std::panic::catch_unwind(call) {
            Ok(verdict) => Ended::Verdict(verdict),
            Err(_) => Ended::Panic,
        };
        self.settle(timing, ended)
    }

    fn admits(&self) -> bool {
        let admits = self.breaker.admits();
        if !admits {
            count(&self.stats.withheld);
        }
        admits
    }

    fn settle<V>(&self, timing: Option<Timing>, ended: Ended<V>) -> Result<V, Faulted> {
        if let Some(timing) = timing {
            self.stats.end(&timing);
        }
        match ended {
            Ended::Verdict(verdict) => {
                self.breaker.well();
                return Ok(verdict);
            }
            Ended::Error(error) => {
                count(&self.stats.errors);
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(plugin = self.plugin, ?cause, "a hook failed");
            }
            Ended::Panic => {
                count(&self.stats.panics);
                tracing::error!(plugin = self.plugin, "a hook panicked");
            }
            Ended::Late => {
                count(&self.stats.timeouts);
                tracing::warn!(plugin = self.plugin, "a hook missed its deadline");
            }
        }
        if self.breaker.fault() {
            tracing::error!(
                plugin = self.plugin,
                "a hook faulted too often and is not called for a while"
            );
        }
        Err(Faulted)
    }

    pub(super) fn describe(
        &self,
        point: &'static str,
        phase: Option<Phase>,
        scope: Option<String>,
    ) -> HookDescription {
        let deadline = self.entry.options.deadline;
        HookDescription {
            point,
            plugin: self.plugin,
            phase: phase.map(name_of),
            scope,
            deadline_ms: (deadline != Duration::MAX)
                .then(|| u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)),
            on_fault: if self.is_skipped() { "skip" } else { "deny" },
            breaker_open: self.breaker.is_open(),
            counts: self.stats.read(),
        }
    }
}

fn name_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Rewrite => "rewrite",
        Phase::Authorize => "authorize",
        Phase::Validate => "validate",
        Phase::Transform => "transform",
        Phase::Handle => "handle",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use partyline_plugin::FilterOptions;

    use super::*;

    /// A hook without a deadline of its own that hangs is to be seen, but stays in use.
    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_counts_as_late() {
        let entry = HookEntry {
            hook: Arc::new(()),
            options: FilterOptions::default().deadline(Duration::MAX),
        };
        let hook = Guarded::new("test", entry);
        for _ in 0..10 {
            let call = hook.call(std::future::pending::<HookResult<()>>());
            let given_up = tokio::time::timeout(Duration::from_secs(1), call).await;
            assert!(given_up.is_err());
        }
        assert_eq!(hook.call(async { Ok(()) }).await, Ok(()));
        let seen = hook.describe("authenticate", None, None);
        assert_eq!((seen.counts.calls, seen.counts.timeouts), (11, 10));
        assert!(!seen.breaker_open);
    }
}
