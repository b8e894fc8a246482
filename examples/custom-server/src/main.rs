//! A broker with an operator's own plugins.
//!
//! It takes the same commands, flags and configuration as `partyline`. Which plugins it knows is
//! said here; which of them run is said in `[plugins] enabled`, see `partyline.toml` beside this
//! package's manifest.

use std::process::ExitCode;

use partyline_examples::{AuditLog, DenyWildcard, Echo, PayloadLimit, Presence, TopicRewrite};

fn main() -> ExitCode {
    partyline::App::new()
        .plugin::<AuditLog>()
        .plugin::<DenyWildcard>()
        .plugin::<Echo>()
        .plugin::<PayloadLimit>()
        .plugin::<Presence>()
        .plugin::<TopicRewrite>()
        .run()
}
