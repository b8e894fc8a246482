//! Every payload against its golden file: what is written equals the file, and the file reads back.
//!
//! The files are the contract's examples. A change here is a change of the wire.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, which may panic"
)]

use std::fmt::Debug;
use std::path::Path;

use partyline_protocol::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(name)
        .with_extension("json");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares the values of the JSON, so that the files may be laid out for reading.
#[track_caller]
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let file = read(name);
    let want: Value = serde_json::from_str(&file).unwrap();
    let have: Value = serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap();
    assert_eq!(have, want, "{name} is written otherwise");
    let back: T = serde_json::from_str(&file).unwrap();
    assert_eq!(
        serde_json::to_string(&back).unwrap(),
        serde_json::to_string(value).unwrap()
    );
}

/// A command in its envelope, as the broker reads it.
#[track_caller]
fn command<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: &T) {
    let request = decode_request::<T>(read(name).as_bytes()).unwrap();
    assert_eq!(request.id, RequestId::text("7"), "{name}");
    assert_eq!(request.body, *value, "{name} is read otherwise");
    let mut want: Value = serde_json::from_str(&read(name)).unwrap();
    want.as_object_mut().unwrap().remove("id");
    assert_eq!(
        serde_json::to_value(value).unwrap(),
        want,
        "{name} is written otherwise"
    );
}

/// A successful reply in its envelope.
#[track_caller]
fn reply<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, value: T) {
    let id = RequestId::text("7");
    let want: Value = serde_json::from_str(&read(name)).unwrap();
    let have: Value = serde_json::from_slice(&encode_ok(id.as_ref(), &value)).unwrap();
    assert_eq!(have, want, "{name} is written otherwise");
    let back = Reply::<T>::decode(read(name).as_bytes()).unwrap();
    assert_eq!(
        back,
        Reply {
            id,
            result: Ok(value)
        },
        "{name} is read otherwise"
    );
}

fn app() -> AppKey {
    AppKey::parse("4f7aef34fb361292c566a1cd").unwrap()
}

fn user(name: &str) -> Username {
    Username::parse(name).unwrap()
}

fn seq(number: u64) -> Seq {
    Seq::parse(number).unwrap()
}

fn epoch() -> Epoch {
    Epoch::parse("e1").unwrap()
}

fn registration() -> RegistrationId {
    RegistrationId::parse("190e35f7e0290a36ba3").unwrap()
}

fn single(name: &str) -> Conversation {
    Conversation::Single {
        app: app(),
        username: user(name),
    }
}

fn group() -> Conversation {
    Conversation::Group(GroupId::parse(10_023_456).unwrap())
}

fn text() -> JsonObject {
    // As spaced in the golden files, because the text is passed on unchanged.
    JsonObject::parse(r#"{"text": "hello", "extras": {"colour": "red"}}"#).unwrap()
}

#[test]
fn session_notices() {
    let mut notice = SessionNotice {
        registration_id: registration(),
        device_secret: Some(Secret::new("c2VjcmV0")),
        username: None,
        token: None,
        epoch: None,
        head: None,
        server_time: 1_493_794_522_950,
        kicked: None,
    };
    golden("session_notice_device", &notice);
    notice.device_secret = None;
    notice.username = Some(user("alice"));
    notice.token = Some(Secret::new("plt_x"));
    notice.epoch = Some(epoch());
    notice.head = Some(seq(42));
    golden("session_notice_user", &notice);
    notice.token = None;
    notice.kicked = Some(KickReason::NewLogin.into());
    golden("session_notice_kicked", &notice);
}

#[test]
fn logins() {
    let by_password = Login {
        username: user("alice"),
        password: Some(Secret::new("hush")),
        token: None,
        platform: Some(Platform::Android),
    };
    command("login_password", &by_password);
    let by_token = Login {
        password: None,
        token: Some(Secret::new("plt_x")),
        ..by_password
    };
    command("login_token", &by_token);
    reply(
        "logged_in",
        LoggedIn {
            token: Some(Secret::new("plt_x")),
            registration_id: registration(),
            epoch: epoch(),
            head: seq(42),
        },
    );
    command("logout", &Logout {});
    reply("done", Done {});
}

#[test]
fn configuration() {
    let change = Configure {
        deliver: Some(true),
        ack: Some(AckMode::Explicit),
        max_batch: BatchBytes::parse(32 * 1024),
        roaming: Some(false),
    };
    command("configure", &change);
    reply("configured", Configured::default().with(&change));
}

#[test]
fn devices() {
    command("devices", &Devices {});
    let device = DeviceInfo {
        registration_id: registration(),
        platform: Platform::Ios,
        client_id: ClientId::parse("phone-1").unwrap(),
        online: true,
        last_seen: 1_493_794_522_950,
    };
    reply(
        "device_list",
        DeviceList {
            devices: vec![device],
        },
    );
    command(
        "kick_device",
        &KickDevice {
            registration_id: registration(),
        },
    );
}

fn send() -> SendMessage {
    SendMessage {
        client_msg_id: ClientMessageId::parse("c-1").unwrap(),
        target_type: TargetType::Single,
        target_id: "bobby".into(),
        target_appkey: None,
        msg_type: MessageType::Text,
        msg_body: text(),
        no_offline: false,
        no_notification: false,
        notification: None,
        need_receipt: false,
        at: None,
        expire: None,
    }
}

#[test]
fn sending() {
    command("send_message", &send());
    let everything = SendMessage {
        target_type: TargetType::Group,
        target_id: "10023456".into(),
        target_appkey: Some(app()),
        no_offline: true,
        no_notification: true,
        notification: Some(Notification {
            title: Some("t".into()),
            alert: Some("a".into()),
        }),
        need_receipt: true,
        at: Some(vec![Mention {
            username: user("bobby"),
            appkey: None,
        }]),
        expire: Some(60),
        ..send()
    };
    everything.check(&MessageLimits::default()).unwrap();
    command("send_message_all", &everything);
    reply(
        "sent",
        Sent {
            msg_id: MessageId::parse(43_143_728_109).unwrap(),
            conversation: single("bobby"),
            seq: seq(5),
            msg_ctime: 1_493_794_522_950,
            duplicate: false,
        },
    );
}

fn message() -> MessageItem {
    MessageItem {
        conversation: single("alice"),
        msg_seq: seq(5),
        truncated_before: None,
        msg_id: MessageId::parse(43_143_728_109).unwrap(),
        from: Member {
            username: user("alice"),
            appkey: app(),
        },
        target_type: TargetType::Single,
        target_id: "bobby".into(),
        msg_type: MessageType::Text,
        msg_body: text(),
        msg_ctime: 1_493_794_522_950,
        client_msg_id: None,
        no_notification: false,
        notification: None,
        need_receipt: false,
        at: None,
        expire_at: None,
    }
}

fn items() -> Vec<InboxItem> {
    let all = MessageItem {
        conversation: group(),
        target_type: TargetType::Group,
        target_id: "10023456".into(),
        client_msg_id: Some(ClientMessageId::parse("c-1").unwrap()),
        no_notification: true,
        notification: Some(Notification {
            title: None,
            alert: Some("a".into()),
        }),
        need_receipt: true,
        at: Some(vec![]),
        expire_at: Some(1_493_794_582_950),
        truncated_before: Some(seq(5)),
        ..message()
    };
    let large = OversizeItem {
        conversation: group(),
        msg_seq: seq(9),
        truncated_before: None,
    };
    vec![
        InboxItem {
            seq: seq(41),
            body: ItemBody::Message(Box::new(message())),
        },
        InboxItem {
            seq: seq(43),
            body: ItemBody::Message(Box::new(all)),
        },
        InboxItem {
            seq: seq(44),
            body: ItemBody::Oversize(large),
        },
    ]
}

#[test]
fn the_inbox() {
    let batch = InboxBatch {
        epoch: epoch(),
        prev: seq(40),
        seq: seq(44),
        items: items(),
    };
    golden("inbox_batch", &batch);
    command(
        "ack",
        &Ack {
            epoch: epoch(),
            seq: seq(44),
        },
    );
    reply("acked", Acked { seq: seq(44) });
}

#[test]
fn synchronising() {
    let sync = Sync {
        epoch: Some(epoch()),
        from: seq(40),
        limit: Some(50),
        heads_after: None,
    };
    command("sync", &sync);
    let page = SyncPage {
        epoch: epoch(),
        prev: seq(40),
        seq: seq(41),
        head: seq(44),
        items: items().into_iter().take(1).collect(),
    };
    reply("sync_page", SyncReply::Page(page));
    let head = |conversation, unread: Option<u64>| Head {
        conversation,
        last_seq: seq(9),
        read_seq: seq(7),
        truncated_before: unread.map(|_| seq(4)),
        unread,
    };
    let reset = Reset {
        epoch: Epoch::parse("e2").unwrap(),
        head: seq(44),
        conversations: vec![head(single("alice"), Some(2)), head(group(), None)],
        more: true,
    };
    reply("sync_reset", SyncReply::Reset(reset));
    command(
        "sync_heads",
        &Sync {
            from: seq(40),
            heads_after: Some(group()),
            ..Sync::default()
        },
    );
}

#[test]
fn errors() {
    let id = RequestId::text("7");
    let error = RequestError::new(ErrorCode::InBlacklist);
    let want: Value = serde_json::from_str(&read("error")).unwrap();
    let have: Value = serde_json::from_slice(&encode_error(id.as_ref(), &error)).unwrap();
    assert_eq!(have, want);
    let back = Reply::<Done>::decode(read("error").as_bytes()).unwrap();
    assert_eq!(
        back,
        Reply {
            id,
            result: Err(error)
        }
    );
}

/// The whole table of codes: numbers and names must never change their meaning.
#[test]
fn error_codes() {
    let table: Vec<Value> = ErrorCode::ALL
        .iter()
        .map(|code| {
            serde_json::json!({
                "code": code.code(),
                "name": code.name(),
                "message": code.message(),
                "reason": code.reason(),
            })
        })
        .collect();
    let want: Vec<Value> = serde_json::from_str(&read("error_codes")).unwrap();
    assert_eq!(table, want);
}
