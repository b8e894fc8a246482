//! The commands: `$im/message/send`, `$im/inbox/…` and `$im/session/configure`.

mod ack;
mod configure;
mod send;
mod sync;

use partyline_plugin::CommandCx;
use partyline_protocol::{Member, RequestError};

/// The user who sent a command.
fn user_of(cx: &CommandCx) -> Result<Member, RequestError> {
    let username = cx.username()?.clone();
    Ok(Member {
        appkey: cx.session.app().clone(),
        username,
    })
}
