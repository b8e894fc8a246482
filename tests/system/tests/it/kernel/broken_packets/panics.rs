//! Panics that the broker caught: a client sees no more of them than a closed connection.

use std::cell::Cell;
use std::sync::Once;

thread_local! {
    /// Panics on this thread, on which the test's runtime runs the broker too.
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Counts the panics on this thread from now on.
pub(in crate::kernel) fn count() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            usual(info);
        }));
    });
    PANICS.set(0);
}

/// How many there were.
pub(in crate::kernel) fn counted() -> u32 {
    PANICS.get()
}

#[tokio::test]
async fn of_a_task_are_counted() {
    count();
    assert_eq!(counted(), 0);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async { panic!("on purpose") });
    assert!(tasks.join_next().await.unwrap().unwrap_err().is_panic());
    assert_eq!(counted(), 1);
}
