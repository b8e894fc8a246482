//! Filters of wills, subscriptions and deliveries, and reasons in words.

use std::sync::Arc;

use bytes::Bytes;
use partyline_plugin::{Message, Origin};
use partyline_protocol::AppKey;
use partyline_system_tests::{APP, OpenDoor};
use partyline_testkit::{ConnectOptions, Packet, TestBroker, Version};
use serde_json::json;

use super::super::property::REASON_STRING;
use super::super::{VERSIONS, by_version, client, connect, kept};
use super::bouncer::{Bouncer, topic};
use super::filters::sieve;
use super::witness::Witness;

async fn bouncer() -> anyhow::Result<(TestBroker, Arc<Bouncer>)> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Bouncer>(json!({}))
        .plugin::<Witness>(json!({}))
        .start()
        .await?;
    let bouncer = broker.services().get::<Bouncer>()?;
    Ok((broker, bouncer))
}

fn with_will(version: Version, topic: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(version, "mortal");
    options.will = Some((topic.to_owned(), Bytes::from("hard words"), 1, false));
    options
}

#[tokio::test]
async fn a_will_is_filtered_once_at_connect() -> anyhow::Result<()> {
    let (broker, bouncer) = bouncer().await?;
    for version in VERSIONS {
        let mut watcher = client(&broker, version, "watcher").await;
        watcher.subscribe(&[("will/#", 1)]).await?;
        for (topic, comes) in [
            ("will/plain", Some(("will/plain", "hard words"))),
            ("will/move", Some(("will/moved", "hard words"))),
            ("will/payload", Some(("will/payload", "softer words"))),
            ("will/consume", None),
        ] {
            bouncer.calls();
            let (mortal, connack) = connect(&broker, &with_will(version, topic)).await;
            assert_eq!(connack.code, 0, "{topic}");
            let calls = bouncer.calls();
            let filters = 1 + usize::from(topic == "will/move");
            assert_eq!(calls, vec!["will of mortal"; filters], "{topic}");
            drop(mortal);
            if let Some((topic, payload)) = comes {
                assert_eq!(watcher.take(topic).await?.payload, payload);
            }
            // Nobody asks again when it is published.
            assert!(bouncer.calls().is_empty());
        }
        watcher.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_refused_will_refuses_its_connect() -> anyhow::Result<()> {
    let (broker, _) = bouncer().await?;
    for version in VERSIONS {
        for (topic, code, why) in [
            (
                "will/reject",
                by_version(version, 0x97, 5),
                Some("no wills today"),
            ),
            // What is rewritten is what is authorized.
            ("will/secret", by_version(version, 0x87, 5), None),
            // No command comes from the dead.
            ("will/command", by_version(version, 0x90, 5), None),
            ("will/deep", by_version(version, 0x90, 5), None),
            ("will/error", by_version(version, 0x83, 5), None),
        ] {
            let (mut mortal, connack) = connect(&broker, &with_will(version, topic)).await;
            assert_eq!(connack.code, code, "{topic}");
            let told = connack.properties.text(REASON_STRING);
            let why = why.filter(|_| version == Version::V5);
            assert_eq!(told.as_deref(), why, "{topic}");
            mortal.closed().await?;
        }
    }
    broker.stop().await;
    Ok(())
}

/// Only who would get it is asked about.
#[tokio::test]
async fn a_shared_message_that_is_kept_from_one_goes_to_another_of_its_group() -> anyhow::Result<()>
{
    let (broker, bouncer) = bouncer().await?;
    for version in VERSIONS {
        let mut shunned = client(&broker, version, "shunned").await;
        let mut two = client(&broker, version, "two").await;
        shunned.subscribe(&[("$share/g/d/a", 1)]).await?;
        let mut publisher = client(&broker, version, "publisher").await;
        publisher.publish_done("d/a", "to nobody", 1, false).await?;
        two.subscribe(&[("$share/g/d/a", 1)]).await?;
        let mut sleeper = broker.client(kept(version, "sleeper")).await?;
        sleeper.subscribe(&[("$share/g/d/a", 1)]).await?;
        sleeper.disconnect(0).await?;
        for payload in ["1", "2", "3"] {
            bouncer.calls();
            publisher.publish_done("d/a", payload, 1, false).await?;
            assert_eq!(two.take("d/a").await?.payload, payload);
            let calls = bouncer.calls();
            assert!(calls.contains(&"d/a to two".to_owned()), "{calls:?}");
            assert!(
                !calls.contains(&"d/a to sleeper, absent".to_owned()),
                "{calls:?}"
            );
        }
        shunned.quiet().await?;
        client(&broker, version, "sleeper")
            .await
            .disconnect(0)
            .await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_subscription_may_be_lowered_or_refused() -> anyhow::Result<()> {
    let (broker, bouncer) = bouncer().await?;
    for version in VERSIONS {
        let mut one = client(&broker, version, "one").await;
        one.publish_done("quiet", "kept", 1, true).await?;
        bouncer.calls();
        let asked = [
            ("lower", 2),
            ("raise", 1),
            ("quiet", 1),
            ("deaf", 1),
            ("elsewhere", 1),
            ("full", 1),
            ("accept", 1),
            ("hang", 1),
            ("secret/x", 1),
        ];
        let told = one.subscribe(&asked).await?;
        let (full, fault) = (
            by_version(version, 0x97, 0x80),
            by_version(version, 0x83, 0x80),
        );
        let secret = by_version(version, 0x87, 0x80);
        assert_eq!(told, [0, 1, 1, 1, 1, full, 1, fault, secret]);
        let calls = bouncer.calls();
        // Who may not subscribe is not asked about.
        let expected: Vec<String> = asked[..8]
            .iter()
            .map(|(filter, _)| format!("one subscribes to {filter}"))
            .collect();
        assert_eq!(calls, expected);
        let repeated = [("lower", 2), ("a", 2), ("lower", 1), ("a", 1)];
        assert_eq!(one.subscribe(&repeated).await?, [0, 2, 0, 1]);
        for topic in ["full", "hang", "somewhere", "deaf"] {
            one.publish_done(topic, "x", 1, false).await?;
        }
        one.publish_done("elsewhere", "x", 1, false).await?;
        one.take("elsewhere").await?;
        one.quiet().await?;
        one.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_resumed_subscription_is_not_filtered_again() -> anyhow::Result<()> {
    let (broker, bouncer) = bouncer().await?;
    let mut one = broker.client(kept(Version::V5, "one")).await?;
    one.subscribe(&[("a", 1)]).await?;
    one.disconnect(0).await?;
    bouncer.calls();
    let (_one, connack) = connect(&broker, &kept(Version::V5, "one")).await;
    assert!(connack.session_present && bouncer.calls().is_empty());
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_deliver_filter_sees_each_recipient_once() -> anyhow::Result<()> {
    let (broker, bouncer) = bouncer().await?;
    let witness = broker.services().get::<Witness>()?;
    for version in VERSIONS {
        let mut one = client(&broker, version, "one").await;
        let mut shunned = client(&broker, version, "shunned").await;
        let mut absent = broker.client(kept(version, "absent")).await?;
        for subscriber in [&mut one, &mut shunned, &mut absent] {
            subscriber
                .subscribe(&[("d/a", 1), ("d/#", 1), ("e", 1)])
                .await?;
        }
        absent.disconnect(0).await?;
        bouncer.calls();
        one.publish_done("d/a", "x", 1, false).await?;
        let mut calls = bouncer.calls();
        calls.sort();
        assert_eq!(
            calls,
            ["d/a to absent, absent", "d/a to one", "d/a to shunned"]
        );
        assert_eq!(one.take("d/a").await?.payload, "x");
        shunned.quiet().await?;
        while witness.next_of("shunned").await != "dropped d/a Filtered" {}
        let (mut absent, _) = connect(&broker, &kept(version, "absent")).await;
        assert_eq!(absent.take("d/a").await?.payload, "x");
        assert!(bouncer.calls().is_empty(), "it was asked before");
        // It is out of scope.
        one.publish_done("e", "x", 1, false).await?;
        shunned.take("e").await?;
        assert!(bouncer.calls().is_empty());
        // What its own plugin publishes it does not see.
        let app = AppKey::parse(APP)?;
        let own = Message::new(topic("d/own"), "x", Origin::Client);
        bouncer.broker.publish(&app, own).await?;
        shunned.take("d/own").await?;
        assert!(bouncer.calls().is_empty());
        absent.disconnect(0).await?;
        client(&broker, version, "absent")
            .await
            .disconnect(0)
            .await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_deliver_filter_sees_retained_messages() -> anyhow::Result<()> {
    let (broker, bouncer) = bouncer().await?;
    let mut one = client(&broker, Version::V5, "one").await;
    for topic in ["d/1", "d/2", "e"] {
        one.publish_done(topic, "kept", 1, true).await?;
    }
    let mut shunned = client(&broker, Version::V5, "shunned").await;
    bouncer.calls();
    shunned.subscribe(&[("#", 1)]).await?;
    shunned.take("e").await?;
    shunned.quiet().await?;
    one.subscribe(&[("#", 1)]).await?;
    for topic in ["d/1", "d/2", "e"] {
        one.take(topic).await?;
    }
    let mut calls = bouncer.calls();
    calls.retain(|call| call.starts_with("d/"));
    assert_eq!(
        calls,
        [
            "d/1 to shunned",
            "d/2 to shunned",
            "d/1 to one",
            "d/2 to one"
        ]
    );
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_fault_of_a_deliver_filter_keeps_or_skips_as_registered() -> anyhow::Result<()> {
    let (broker, _) = bouncer().await?;
    let mut one = client(&broker, Version::V5, "one").await;
    one.subscribe(&[("#", 1)]).await?;
    for payload in ["panic", "call"] {
        one.publish_done("d/x", payload, 1, false).await?;
        one.publish_done("s/x", payload, 1, false).await?;
        assert_eq!(one.take("s/x").await?.payload, payload);
    }
    // The same under the session's lock, where retained messages are looked for.
    one.publish_done("s/x", "call", 1, true).await?;
    one.take("s/x").await?;
    one.subscribe(&[("s/x", 1)]).await?;
    assert_eq!(one.take("s/x").await?.payload, "call");
    one.quiet().await?;
    let chain = serde_json::to_value(broker.describe())?;
    let hooks = chain["hooks"].as_array().expect("a list");
    let deliver: Vec<_> = hooks
        .iter()
        .filter(|hook| hook["point"] == "deliver")
        .collect();
    assert_eq!(
        (&deliver[0]["scope"], &deliver[0]["panics"]),
        (&json!("d/…"), &json!(2))
    );
    assert_eq!(
        (&deliver[1]["on_fault"], &deliver[1]["panics"]),
        (&json!("skip"), &json!(4))
    );
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_refusal_says_why_to_who_wants_to_know() -> anyhow::Result<()> {
    let (broker, _) = sieve().await?;
    let refused = |told: &Packet, id| match told {
        Packet::AckWith(_, of, 0x97, properties) if *of == id => {
            Some(properties.text(REASON_STRING))
        }
        Packet::Ack(_, of, 0x97) if *of == id => Some(None),
        _ => None,
    };
    let plain = ConnectOptions::new(Version::V5, "one");
    let why = Some("too much of it".to_owned());
    for (options, expected) in [
        (plain.clone(), why),
        // Request Problem Information
        (plain.clone().property(0x17, &[0][..]), None),
    ] {
        let mut client = broker.client(options).await?;
        for qos in [1, 2] {
            let id = client
                .publish("deny/validate/explain", "x", qos, false)
                .await?;
            let told = client
                .wait_for("its acknowledgement", |packet| refused(packet, id))
                .await?;
            assert_eq!(told, expected);
        }
    }
    for version in [Version::V31, Version::V311] {
        let mut client = client(&broker, version, "one").await;
        let told = client
            .publish_done("deny/validate/explain", "x", 1, false)
            .await?;
        assert_eq!(told, 0);
    }
    broker.stop().await;
    Ok(())
}
