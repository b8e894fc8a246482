//! Commands: the reply, the acknowledgement, and what goes wrong.

use bytes::Bytes;
use partyline_protocol::AppKey;
use partyline_system_tests::{APP, OpenDoor};
use partyline_testkit::{ConnectOptions, Packet, TestBroker, Version};
use serde_json::json;

use super::super::property::{CORRELATION_DATA, MAXIMUM_PACKET_SIZE, RESPONSE_TOPIC};
use super::super::{VERSIONS, by_version, client};
use super::demo::Demo;
use super::{REPLY, demo_broker, request};

#[tokio::test]
async fn the_reply_comes_before_the_acknowledgement_and_repeats_the_id() -> anyhow::Result<()> {
    let (broker, _) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let request = json!({"id": "7", "word": "hello"}).to_string();
        for qos in 0..=2 {
            let id = client.publish("$x/demo/echo", &request, qos, false).await?;
            let Packet::Publish(reply) = client.next().await? else {
                panic!("no reply")
            };
            assert_eq!((&*reply.topic, reply.qos, reply.retain), (REPLY, 0, false));
            assert_eq!(reply.json()?["id"], "7");
            assert_eq!(reply.json()?["ok"]["word"], "hello");
            match qos {
                0 => {}
                1 => assert_eq!(client.next().await?, Packet::Ack(4, id, 0)),
                _ => {
                    assert_eq!(client.next().await?, Packet::Ack(5, id, 0));
                    client.ack(6, id).await?;
                    assert_eq!(client.next().await?, Packet::Ack(7, id, 0));
                }
            }
        }
        client.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_qos_2_command_is_carried_out_once() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let gate = br#"{"name":"once"}"#;
        let send = |dup| (7, "$x/demo/gate", &gate[..], 2, false, dup);
        let (id, topic, payload, qos, retain, _) = send(false);
        client
            .send_publish(id, topic, payload, qos, retain, false, &[])
            .await?;
        demo.entered("once").await;
        // Again while it runs, and again when it is done.
        client
            .send_publish(id, topic, payload, qos, retain, true, &[])
            .await?;
        client.ping().await?;
        demo.open("once");
        client.publish_on(REPLY).await?;
        assert_eq!(client.acked(5, 7).await?, 0);
        client
            .send_publish(id, topic, payload, qos, retain, true, &[])
            .await?;
        assert_eq!(client.acked(5, 7).await?, 0);
        client.ack(6, 7).await?;
        assert_eq!(client.acked(7, 7).await?, 0);
        client.quiet().await?;
        assert_eq!(std::mem::take(&mut *demo.began.lock()), ["once"]);
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_refusal_says_why_in_the_reply_and_in_the_reason() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        demo.open("refused");
        for (verb, body, code, reason) in [
            ("gate", json!({"id": 1, "name": "refused"}), 800_020, 0x87),
            ("gate", json!({"id": 1}), 800_008, 0x99),
            ("nonsense", json!({"id": 1}), 870_002, 0x87),
            ("news", json!({"id": 1}), 870_002, 0x87),
            ("panic", json!({"id": 1}), 800_009, 0x83),
            ("panic", json!({"id": 1, "late": true}), 800_009, 0x83),
        ] {
            let (reply, acked) = request(&mut client, verb, &body).await?;
            assert_eq!(reply["id"], 1, "{verb}");
            assert_eq!(reply["error"]["code"], code, "{verb}");
            assert_eq!(acked, by_version(version, reason, 0), "{verb}");
        }
        // At QoS 2 an error frees the packet id at once in MQTT 5.
        for _ in 0..2 {
            client
                .send_publish(9, "$x/demo/gate", b"{}", 2, false, false, &[])
                .await?;
            assert_eq!(
                client.publish_on(REPLY).await?.json()?["error"]["code"],
                800_008
            );
            assert_eq!(client.acked(5, 9).await?, by_version(version, 0x99, 0));
            if version != Version::V5 {
                client.ack(6, 9).await?;
                assert_eq!(client.acked(7, 9).await?, 0);
            }
        }
        client.publish_done("$x/other/echo", "{}", 1, false).await?;
        client.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_is_no_json_object_is_refused() -> anyhow::Result<()> {
    let (broker, _) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        for payload in [&b""[..], b"[]", b"{", b"null", b"\xff", b"{\"id\":1}x"] {
            let id = client.publish("$x/demo/echo", payload, 1, false).await?;
            assert_eq!(
                client.publish_on(REPLY).await?.json()?["error"]["code"],
                800_008
            );
            assert_eq!(client.acked(4, id).await?, by_version(version, 0x99, 0));
        }
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_retained_command_is_refused() -> anyhow::Result<()> {
    let (broker, _) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let id = client
            .publish("$x/demo/echo", r#"{"id":"a"}"#, 1, true)
            .await?;
        let reply = client.publish_on(REPLY).await?.json()?;
        assert_eq!(
            (&reply["id"], &reply["error"]["code"]),
            (&json!("a"), &json!(870_006))
        );
        // PUBACK has no 0x9A.
        assert_eq!(client.acked(4, id).await?, by_version(version, 0x83, 0));
    }
    broker.stop().await;
    Ok(())
}

fn text(text: &str) -> Bytes {
    let length = u16::try_from(text.len()).expect("short");
    Bytes::from([&length.to_be_bytes()[..], text.as_bytes()].concat())
}

#[tokio::test]
async fn the_response_topic_and_correlation_data_are_used() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .plugin::<super::sieve::Sieve>(json!({}))
        .start()
        .await?;
    let mut client = client(&broker, Version::V5, "one").await;
    let mut other = super::super::client(&broker, Version::V5, "other").await;
    other.subscribe(&[("#", 1)]).await?;
    for (to, ends_at, ok) in [
        ("answers/one", "answers/one", true),
        // Another plugin's; under $ nothing but what plugins declare.
        ("$x/sieve/answers", "$x/sieve/answers", true),
        ("$im/reply", REPLY, false),
        ("answers/+", REPLY, false),
        ("#", REPLY, false),
        ("", REPLY, false),
        ("$im/inbox", REPLY, false),
        ("$x/demo/news", REPLY, false),
    ] {
        let properties = [
            (RESPONSE_TOPIC, text(to)),
            (CORRELATION_DATA, text("\u{0}\u{1}")),
        ];
        client
            .send_publish(5, "$x/demo/echo", b"{}", 1, false, false, &properties)
            .await?;
        let reply = client.publish_on(ends_at).await?;
        assert_eq!(reply.json()?.get("ok").is_some(), ok, "{to}");
        assert_eq!(
            reply.properties.text(CORRELATION_DATA).as_deref(),
            Some("\u{0}\u{1}")
        );
        assert_eq!(client.acked(4, 5).await?, if ok { 0 } else { 0x99 });
    }
    client.quiet().await?;
    // Replies go to the session that asked, past the router.
    other.quiet().await?;
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_reply_that_is_too_large_for_the_client_is_left_out() -> anyhow::Result<()> {
    let (broker, _) = demo_broker(|_| {}).await?;
    let options =
        ConnectOptions::new(Version::V5, "small").property(MAXIMUM_PACKET_SIZE, &[0, 0, 1, 0][..]);
    let mut client = broker.client(options).await?;
    let id = client
        .publish("$x/demo/big", r#"{"size":300}"#, 1, false)
        .await?;
    assert_eq!(client.acked(4, id).await?, 0);
    client.quiet().await?;
    let (reply, _) = request(&mut client, "big", &json!({"size": 10})).await?;
    assert_eq!(reply["ok"]["text"], "xxxxxxxxxx");
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn anonymous_clients_have_no_commands() -> anyhow::Result<()> {
    let app = AppKey::parse(APP)?;
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({"leaves_strangers": true}))
        .plugin::<Demo>(json!({}))
        .config(|config| config.mqtt.anonymous_app = Some(app))
        .start()
        .await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let reason = client.publish_done("$x/demo/echo", "{}", 1, false).await?;
        assert_eq!(reason, by_version(version, 0x87, 0));
        let refused = by_version(version, 0x87, 0x80);
        assert_eq!(
            client.subscribe(&[("$x/demo/news", 1), ("a", 1)]).await?,
            [refused, 1]
        );
        client.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn each_plugin_answers_where_it_declared() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Demo>(json!({}))
        .plugin::<super::sieve::Sieve>(json!({}))
        .start()
        .await?;
    let mut client = client(&broker, Version::V5, "one").await;
    for (topic, reply) in [
        ("$x/demo/echo", REPLY),
        ("$x/demo/unknown", REPLY),
        ("$x/sieve/hello", "$x/sieve/answers"),
        ("$x/sieve/unknown", "$x/sieve/answers"),
    ] {
        client.publish(topic, "{}", 1, false).await?;
        client.publish_on(reply).await?;
    }
    broker.stop().await;
    Ok(())
}
