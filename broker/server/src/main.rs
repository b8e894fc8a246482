//! The `partyline` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    partyline::App::new().run()
}
