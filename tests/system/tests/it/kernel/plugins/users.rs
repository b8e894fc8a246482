//! Logging a user in and out on an open connection.

use partyline_plugin::{Delivery, Qos, TrackedOutcome};
use partyline_protocol::{AppKey, Username};
use partyline_system_tests::APP;
use partyline_testkit::Version;

use super::super::property::RECEIVE_MAXIMUM;
use super::super::{VERSIONS, client, connect, kept};
use super::demo::outgoing;
use super::{demo_broker, login, session};

const NEWS: &str = "$x/demo/news";

/// What it was sent and did not acknowledge, and what waited.
#[tokio::test]
async fn a_shared_message_that_is_no_longer_allowed_goes_to_another_of_its_group()
-> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let narrow = kept(version, "one").property(RECEIVE_MAXIMUM, &[0, 1][..]);
        let mut one = broker.client(narrow).await?;
        let mut two = client(&broker, version, "two").await;
        for (name, client) in [("one", &mut one), ("two", &mut two)] {
            let id = session(&demo, name).id;
            demo.broker.set_user(id, Some(login("alice"))).await?;
            if name == "one" {
                client.subscribe(&[("$share/g/members/a", 1)]).await?;
                for payload in ["1", "2", "3"] {
                    client.publish_done("members/a", payload, 1, false).await?;
                }
                client.publish_on("members/a").await?;
            }
        }
        two.subscribe(&[("$share/g/members/a", 1)]).await?;
        let logged_out = session(&demo, "one").id;
        demo.broker.set_user(logged_out, None).await?;
        for payload in ["1", "2", "3"] {
            assert_eq!(two.take("members/a").await?.payload, payload);
        }
        two.quiet().await?;
        client(&broker, version, "one").await.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_login_changes_the_handle_and_ends_what_the_old_one_had() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let narrow = kept(version, "one").property(RECEIVE_MAXIMUM, &[0, 1][..]);
        let mut client = broker.client(narrow).await?;
        let before = session(&demo, "one");
        let news = |payload: &'static str| outgoing(NEWS, payload, Qos::AtLeastOnce);
        let sent = demo.broker.deliver_tracked(before.handle(), news("old"));
        let old = client.publish_on(NEWS).await?;
        let waits = demo
            .broker
            .deliver_tracked(before.handle(), news("never sent in MQTT 5"));
        let after = demo
            .broker
            .set_user(before.id, Some(login("alice")))
            .await?;
        assert_eq!((after.id, after.login), (before.id, before.login + 1));
        assert_eq!(
            (sent.await, waits.await),
            (TrackedOutcome::Gone, TrackedOutcome::Gone)
        );
        assert_eq!(
            demo.broker.deliver(before.handle(), news("late")),
            Delivery::Gone
        );
        // The old packet id is not given out again while the client still holds it.
        let new = demo.broker.deliver_tracked(after.handle(), news("new"));
        client.puback(old.id).await?;
        let is_new = |packet: &partyline_testkit::Packet| match packet {
            partyline_testkit::Packet::Publish(publish) if publish.payload == "new" => {
                Some(publish.clone())
            }
            _ => None,
        };
        let message = client.wait_for("the new login's message", is_new).await?;
        assert_ne!(message.id, old.id);
        client.puback(message.id).await?;
        assert_eq!(new.await, TrackedOutcome::Acked);
        if version == Version::V5 {
            client.quiet().await?;
        }
        client.disconnect(0).await?;
        super::super::client(&broker, version, "one")
            .await
            .disconnect(0)
            .await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn users_are_found_by_name_while_they_are_logged_in() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let app = AppKey::parse(APP)?;
    let alice = Username::parse("alice")?;
    let found = || demo.broker.sessions_of(&app, &alice).len();
    for version in VERSIONS {
        let one = client(&broker, version, "one").await;
        let two = client(&broker, version, "two").await;
        let (first, second) = (session(&demo, "one"), session(&demo, "two"));
        assert_eq!(found(), 0);
        demo.broker.set_user(first.id, Some(login("alice"))).await?;
        demo.broker
            .set_user(second.id, Some(login("alice")))
            .await?;
        demo.broker
            .set_user(second.id, Some(login("alice")))
            .await?;
        assert_eq!(found(), 2);
        demo.broker
            .set_user(second.id, Some(login("bobby")))
            .await?;
        assert_eq!(found(), 1);
        demo.broker.set_user(first.id, None).await?;
        assert_eq!(found(), 0);
        demo.broker.set_user(first.id, Some(login("alice"))).await?;
        one.disconnect(0).await?;
        assert_eq!(found(), 0);
        assert!(
            demo.broker
                .set_user(first.id, Some(login("alice")))
                .await
                .is_err(),
            "it is gone"
        );
        two.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn outlets_close_for_the_old_user_and_open_for_the_new() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    let mut client = client(&broker, Version::V5, "one").await;
    client.subscribe(&[("$x/demo/#", 1)]).await?;
    let told = async |topic, what, user: Option<&str>| {
        let expected = (topic, what, "one".to_owned(), user.map(str::to_owned));
        assert_eq!(demo.told().await, expected);
    };
    let topics = [NEWS, "$x/demo/live"];
    for topic in topics {
        told(topic, "opened", None).await;
    }
    let id = session(&demo, "one").id;
    let mut before = None;
    for after in [Some("alice"), Some("bobby"), None] {
        demo.broker.set_user(id, after.map(login)).await?;
        for topic in topics {
            told(topic, "closed", before).await;
        }
        for topic in topics {
            told(topic, "opened", after).await;
        }
        before = after;
    }
    client.quiet().await?;
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn subscriptions_are_authorized_again_and_what_they_queued_goes() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|config| config.limits.in_flight = 1).await?;
    for version in VERSIONS {
        let mut client = client(&broker, version, "one").await;
        let mut writer = super::super::client(&broker, version, "writer").await;
        let id = session(&demo, "one").id;
        demo.broker
            .set_user(session(&demo, "writer").id, Some(login("writer")))
            .await?;
        demo.broker.set_user(id, Some(login("alice"))).await?;
        assert_eq!(
            client.subscribe(&[("members/+", 1), ("open", 1)]).await?,
            [1, 1]
        );
        for (topic, payload) in [
            ("members/a", "sent"),
            ("members/a", "queued"),
            ("open", "queued"),
        ] {
            writer.publish_done(topic, payload, 1, false).await?;
        }
        let sent = client.publish_on("members/a").await?;
        demo.broker.set_user(id, None).await?;
        writer.publish_done("members/a", "after", 1, false).await?;
        client.puback(sent.id).await?;
        assert_eq!(client.take("open").await?.payload, "queued");
        client.quiet().await?;
        // Nor does a new login bring the subscription back.
        demo.broker.set_user(id, Some(login("alice"))).await?;
        writer.publish_done("members/a", "later", 1, false).await?;
        client.quiet().await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_resumed_session_is_authorized_again() -> anyhow::Result<()> {
    let (broker, demo) = demo_broker(|_| {}).await?;
    for version in VERSIONS {
        let mut first = broker.client(kept(version, "one")).await?;
        demo.broker
            .set_user(session(&demo, "one").id, Some(login("alice")))
            .await?;
        first.subscribe(&[("members/+", 1), ("open", 1)]).await?;
        first.disconnect(0).await?;
        let mut writer = client(&broker, version, "writer").await;
        demo.broker
            .set_user(session(&demo, "writer").id, Some(login("writer")))
            .await?;
        for topic in ["members/a", "open"] {
            writer.publish_done(topic, "while away", 1, false).await?;
        }
        // It comes back as a device alone.
        let (mut second, _) = connect(&broker, &kept(version, "one")).await;
        assert_eq!(second.take("open").await?.payload, "while away");
        second.quiet().await?;
        writer.publish_done("members/a", "later", 1, false).await?;
        second.quiet().await?;
        client(&broker, version, "one").await.disconnect(0).await?;
    }
    broker.stop().await;
    Ok(())
}
