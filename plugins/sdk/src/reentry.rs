//! Keeps hooks that run under the broker's locks from calling the broker.

use std::cell::Cell;

thread_local! {
    static UNDER_LOCKS: Cell<bool> = const { Cell::new(false) };
}

/// Runs a hook that must not call the broker: if it does, it panics.
pub fn without_broker<T>(hook: impl FnOnce() -> T) -> T {
    struct Reset(bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            UNDER_LOCKS.set(self.0);
        }
    }
    let _reset = Reset(UNDER_LOCKS.replace(true));
    hook()
}

/// Panics where the broker must not be called: waiting for a lock that the caller holds would
/// never end.
pub(crate) fn check() {
    assert!(
        !UNDER_LOCKS.get(),
        "a deliver filter must not call the broker"
    );
}
