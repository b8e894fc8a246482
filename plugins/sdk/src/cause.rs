//! What was caused by what, so that plugins which answer each other's messages come to an end.

use std::future::Future;

/// How long a chain of causes may be: a plugin's message, what an observer of it publishes, and so
/// on.
pub const MAX_HOPS: u8 = 4;

tokio::task_local! {
    /// Hops of the message that the running task answers.
    static CAUSE: u8;
}

/// Runs `work`, which answers a message with so many hops.
pub async fn causing<T>(hops: u8, work: impl Future<Output = T>) -> T {
    CAUSE.scope(hops, work).await
}

/// The hops of a message that is published now and says itself that it has so many.
pub(crate) fn hops_now(own: u8) -> u8 {
    let cause = CAUSE.try_with(|hops| *hops).ok();
    own.max(cause.map_or(0, |hops| hops.saturating_add(1)))
}
