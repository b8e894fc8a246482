//! Which cargo to call.

use std::ffi::OsString;

/// The cargo that runs this xtask, so that both use one toolchain.
pub(crate) fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
