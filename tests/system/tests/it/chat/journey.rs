//! The journey that every library makes.

use partyline_system_tests::Server;
use partyline_testkit::Backend;
use serde_json::json;

use super::batch::texts;
use super::library::Library;
use super::stage::{server_on, text_to};

/// Two people chat on a server of their own.
pub(super) async fn two_people_chat(library: &Library) -> anyhow::Result<()> {
    two_people_chat_on(Backend::Sqlite, library).await
}

/// Two people chat on a server of their own with this database.
pub(super) async fn two_people_chat_on(backend: Backend, library: &Library) -> anyhow::Result<()> {
    let server = server_on(backend, "").await?;
    chat_on(&server, library).await?;
    server.discard().await
}

/// Two people chat, one of them on two devices, the other with a pause.
pub(super) async fn chat_on(server: &Server, library: &Library) -> anyhow::Result<()> {
    let mut phone = library.connect(server, "alice", "phone").await?;
    let mut tablet = library.connect(server, "alice", "tablet").await?;
    let mut bobby = library.connect(server, "bobby", "phone").await?;
    for client in [&mut phone, &mut tablet, &mut bobby] {
        // A fresh device begins with the first item.
        client.begins_at(0);
        assert_eq!(client.subscribe("$im/inbox").await?, [1]);
    }
    let app = &server.app;

    let message = text_to("bobby", "m1", "hello");
    let (reply, reason) = phone.request("$im/message/send", &message).await?;
    assert_eq!(reason, 0);
    let sent = &reply["ok"];
    let answer = json!({
        "id": "m1",
        "ok": {
            "msg_id": sent["msg_id"], "conversation": format!("single:{app}:bobby"),
            "seq": 1, "msg_ctime": sent["msg_ctime"], "duplicate": false,
        },
    });
    assert_eq!(reply, answer);
    assert!(sent["msg_id"].as_u64().is_some_and(|id| id < 1 << 53));

    let batch = bobby.batch().await?;
    let expected = json!({
        "seq": 1, "kind": "message", "conversation": format!("single:{app}:alice"), "msg_seq": 1,
        "msg_id": sent["msg_id"], "from": {"username": "alice", "appkey": app},
        "target_type": "single", "target_id": "bobby",
        "msg_type": "text", "msg_body": {"text": "hello"}, "msg_ctime": sent["msg_ctime"],
    });
    assert_eq!(batch.span(), (0, 1));
    assert_eq!(bobby.notice["epoch"], batch.epoch);
    assert_eq!(batch.items, [expected]);

    let message = text_to("alice", "b1", "hello yourself");
    let (reply, _) = bobby.request("$im/message/send", &message).await?;
    assert_eq!(reply["ok"]["seq"], 2);
    for client in [&mut phone, &mut tablet] {
        let items = client.items_to(2).await?;
        assert_eq!(texts(&items), ["hello", "hello yourself"]);
        let own = &items[0];
        assert_eq!(own["client_msg_id"], "m1");
        assert_eq!(own["conversation"], format!("single:{app}:bobby"));
        assert_eq!(items[1]["from"]["username"], "bobby");
    }

    bobby.items_to(2).await?;
    bobby.cursor_reaches(2).await?;
    bobby.leave().await?;
    for text in ["one", "two", "three"] {
        let message = text_to("bobby", text, text);
        let (reply, _) = phone.request("$im/message/send", &message).await?;
        assert_eq!(reply["ok"]["duplicate"], false, "{reply}");
    }
    let mut bobby = library.connect(server, "bobby", "phone").await?;
    assert_eq!(bobby.notice["head"], 5);
    bobby.begins_at(2);
    assert_eq!(bobby.subscribe("$im/inbox").await?, [1]);
    let items = bobby.items_to(5).await?;
    assert_eq!(texts(&items), ["one", "two", "three"]);
    let places: Vec<_> = items.iter().map(|item| item["seq"].as_u64()).collect();
    assert_eq!(places, [Some(3), Some(4), Some(5)]);
    assert_eq!(texts(&tablet.items_to(5).await?), ["one", "two", "three"]);
    for client in [phone, tablet, bobby] {
        client.leave().await?;
    }
    Ok(())
}
