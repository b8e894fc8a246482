use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Conversation, Mention, MessageBody, MessageLimits, MessageType, Notification, TargetType,
};
use crate::error_code::{ErrorCode, RequestError};
use crate::id::{AppKey, ClientMessageId, IdError, MessageId, Seq};
use crate::json::{JsonObject, canonical};

/// `$im/message/send`: a message as its sender writes it.
///
/// Decoding checks the ids; [`check`](Self::check) does the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMessage {
    /// The sender's own id of the message, to repeat it safely.
    pub client_msg_id: ClientMessageId,
    /// What `target_id` names.
    pub target_type: TargetType,
    /// A username, or the number of a group or chatroom as text.
    pub target_id: String,
    /// The app of the target; the sender's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_appkey: Option<AppKey>,
    /// What `msg_body` holds.
    pub msg_type: MessageType,
    /// The content.
    pub msg_body: JsonObject,
    /// `true` keeps the message out of offline delivery.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_offline: bool,
    /// `true` shows nothing in the receivers' trays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_notification: bool,
    /// What the receivers' trays show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notification: Option<Notification>,
    /// `true` asks for read receipts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub need_receipt: bool,
    /// Whom the message mentions; an empty list mentions everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Vec<Mention>>,
    /// Seconds from acceptance after which the message is no longer delivered; at least 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expire: Option<u32>,
}

/// Reply to [`SendMessage`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The message's number.
    pub msg_id: MessageId,
    /// Where it went, as the sender sees it.
    pub conversation: Conversation,
    /// Its place in the conversation.
    pub seq: Seq,
    /// When it was accepted, in milliseconds since 1970.
    pub msg_ctime: u64,
    /// Whether it had been sent before, and this is the answer of then.
    pub duplicate: bool,
}

fn invalid(detail: impl std::fmt::Display) -> RequestError {
    RequestError::new(ErrorCode::InvalidRequest).with_detail(detail)
}

/// Bytes that a part takes as JSON text.
fn json_bytes<T: Serialize>(part: Option<&T>) -> usize {
    // Cannot fail: the parts are made of strings.
    part.map_or(0, |part| {
        serde_json::to_string(part).map_or(0, |json| json.len())
    })
}

impl SendMessage {
    /// Checks the body against its type and everything against the limits. The errors name the
    /// field and the limit.
    pub fn check(&self, limits: &MessageLimits) -> Result<(), RequestError> {
        MessageBody::check(self.msg_type, &self.msg_body, limits.body_bytes)?;
        let notification = self.notification.iter();
        let texts = notification.flat_map(|n| [("title", &n.title), ("alert", &n.alert)]);
        for (name, text) in texts {
            let size = text.as_ref().map_or(0, String::len);
            let max = limits.notification_bytes;
            if size > max {
                let detail = format!("notification.{name} has {size} bytes, the most is {max}");
                return Err(invalid(detail));
            }
        }
        let beside = json_bytes(self.at.as_ref()) + json_bytes(self.notification.as_ref());
        if beside > limits.beside_body_bytes {
            let max = limits.beside_body_bytes;
            return Err(invalid(format!(
                "at and notification have {beside} bytes together, the most is {max}"
            )));
        }
        if self.expire == Some(0) {
            return Err(invalid("expire is 0 seconds, the least is 1"));
        }
        Ok(())
    }

    /// The body, checked as in [`check`](Self::check).
    pub fn body(&self, limits: &MessageLimits) -> Result<MessageBody, RequestError> {
        MessageBody::parse(self.msg_type, self.msg_body.clone(), limits.body_bytes)
    }

    /// The conversation as the sender sees it; `own` is the sender's app. Fails if `target_id` is
    /// no id of its `target_type`.
    pub fn conversation(&self, own: &AppKey) -> Result<Conversation, RequestError> {
        let text = &self.target_id;
        let target = match self.target_type {
            TargetType::Single => text.parse().map(|username| Conversation::Single {
                app: self.target_appkey.as_ref().unwrap_or(own).clone(),
                username,
            }),
            TargetType::Group => text.parse().map(Conversation::Group),
            TargetType::Chatroom => text.parse().map(Conversation::Room),
        };
        target.map_err(|error: IdError| invalid(format!("target_id: {error}")))
    }

    /// SHA-256 of the message in a canonical form: the same whatever the order of the fields and
    /// the request's `id`. Sends with one `client_msg_id` are repetitions if their hashes agree.
    pub fn content_hash(&self) -> [u8; 32] {
        let mut form = String::new();
        // Cannot fail: the message is made of strings, numbers and JSON.
        let json = serde_json::to_string(self).unwrap_or_default();
        // Fails on strings that are no Unicode. `check` refuses them, but the hash is wanted first.
        if canonical(&json, &mut form).is_err() {
            form = json;
        }
        Sha256::digest(form.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::decode_request;

    fn send(fields: &str) -> SendMessage {
        let json = format!(
            r#"{{"client_msg_id":"c","target_type":"group","target_id":"7","msg_type":"text",{fields}}}"#
        );
        decode_request(json.as_bytes()).unwrap().body
    }

    #[test]
    fn the_hash_is_that_of_the_content() {
        let one = send(r#""msg_body":{"text":"hi","extras":{"a":1,"b":2}}"#);
        let same =
            send(r#""id":"9","no_offline":false,"msg_body":{"extras":{"b":2,"a":1},"text":"hi"}"#);
        assert_eq!(one.content_hash(), same.content_hash());
        let other = send(r#""msg_body":{"text":"ho","extras":{"a":1,"b":2}}"#);
        assert_ne!(one.content_hash(), other.content_hash());
        // Mentioning everybody is not mentioning nobody.
        let all = send(r#""at":[],"msg_body":{"text":"hi","extras":{"a":1,"b":2}}"#);
        assert_ne!(one.content_hash(), all.content_hash());
    }

    #[test]
    fn the_hash_stays_the_same_over_versions() {
        let hash = send(r#""msg_body":{"text":"hi"}"#).content_hash();
        let canonical = concat!(
            r#"{"client_msg_id":"c","msg_body":{"text":"hi"},"msg_type":"text","#,
            r#""target_id":"7","target_type":"group"}"#
        );
        assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(canonical.as_bytes())));
    }

    #[test]
    fn targets_are_ids_of_their_type() {
        let own = AppKey::parse("0123456789abcdef01234567").unwrap();
        let mut message = send(r#""msg_body":{"text":"hi"}"#);
        assert_eq!(message.conversation(&own).unwrap().to_string(), "group:7");
        message.target_type = TargetType::Single;
        let error = message.conversation(&own).unwrap_err();
        assert!(
            error.message.contains("target_id: username has 1 bytes"),
            "{error}"
        );
        message.target_id = "bobby".into();
        let single = message.conversation(&own).unwrap().to_string();
        assert_eq!(single, "single:0123456789abcdef01234567:bobby");
    }

    #[test]
    fn limits_are_named() {
        let limits = MessageLimits::default();
        assert!(send(r#""msg_body":{"text":"hi"}"#).check(&limits).is_ok());
        let says = |fields: &str, part: &str| {
            let error = send(fields).check(&limits).unwrap_err();
            assert!(error.message.contains(part), "{error}");
        };
        says(r#""msg_body":{}"#, "msg_body.text");
        says(
            r#""msg_body":{"text":""},"expire":0"#,
            "expire is 0 seconds",
        );
        let long = "x".repeat(251);
        says(
            &format!(r#""msg_body":{{"text":""}},"notification":{{"alert":"{long}"}}"#),
            "notification.alert has 251 bytes, the most is 250",
        );
        let names = vec![r#"{"username":"somebody"}"#; 90].join(",");
        says(
            &format!(r#""msg_body":{{"text":""}},"at":[{names}]"#),
            "at and notification have 2161 bytes together, the most is 2048",
        );
    }
}
