//! The `partyline` binary.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A message takes and gives back a handful of small pieces, often on different threads.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    partyline::App::new().run()
}
