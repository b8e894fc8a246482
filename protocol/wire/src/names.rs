//! The topic names under `$` that the broker itself serves. All others are refused.

/// What a client must know: after CONNACK and again on subscribing.
pub const SESSION: &str = "$session";
/// Replies to `$im/…` commands, to the session that sent them.
pub const IM_REPLY: &str = "$im/reply";
/// The user's stream, in batches.
pub const IM_INBOX: &str = "$im/inbox";

/// Binds a user to the connection.
pub const SESSION_LOGIN: &str = "$im/session/login";
/// Takes the user off the connection, which stays a device's.
pub const SESSION_LOGOUT: &str = "$im/session/logout";
/// Sets how the stream is delivered.
pub const SESSION_CONFIGURE: &str = "$im/session/configure";
/// Lists the user's devices.
pub const SESSION_DEVICES: &str = "$im/session/devices";
/// Logs another device of the user out.
pub const SESSION_KICK: &str = "$im/session/kick";
/// Sends a message.
pub const MESSAGE_SEND: &str = "$im/message/send";
/// Reads the stream by hand.
pub const INBOX_SYNC: &str = "$im/inbox/sync";
/// Acknowledges the stream explicitly.
pub const INBOX_ACK: &str = "$im/inbox/ack";

/// The names that only the server publishes to; clients subscribe to them.
pub const TO_CLIENT: &[&str] = &[SESSION, IM_REPLY, IM_INBOX];

/// The commands that clients publish to.
pub const COMMANDS: &[&str] = &[
    SESSION_LOGIN,
    SESSION_LOGOUT,
    SESSION_CONFIGURE,
    SESSION_DEVICES,
    SESSION_KICK,
    MESSAGE_SEND,
    INBOX_SYNC,
    INBOX_ACK,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TopicLimits, TopicName};

    #[test]
    fn all_are_reserved_topics() {
        for name in TO_CLIENT.iter().chain(COMMANDS) {
            assert!(
                TopicName::parse(name, &TopicLimits::default())
                    .unwrap()
                    .is_reserved()
            );
        }
        assert!(COMMANDS.iter().all(|name| name.starts_with("$im/")));
    }
}
