use partyline_examples::TopicRewrite;
use partyline_testkit::{ConnectOptions, Version};
use serde_json::json;

use crate::{broker, builder, client};

fn rules() -> serde_json::Value {
    json!({ "rules": [
        { "from": "v1/temp/", "to": "climate/" },
        { "from": "v1/", "to": "devices/" },
    ] })
}

#[tokio::test]
async fn old_names_become_new_ones() {
    let broker = broker::<TopicRewrite>(rules()).await;
    let mut client = client(&broker, "c").await;
    client.subscribe(&[("#", 0)]).await.unwrap();
    for (old, new) in [
        ("v1/temp/kitchen", "climate/kitchen"),
        ("v1/door", "devices/door"),
        ("v2/door", "v2/door"),
    ] {
        client.publish_done(old, "x", 1, false).await.unwrap();
        client.take(new).await.unwrap();
    }
    client.quiet().await.unwrap();
    broker.stop().await;
}

#[tokio::test]
async fn a_will_and_a_retained_message_move_too() {
    let broker = broker::<TopicRewrite>(rules()).await;
    let dying = ConnectOptions::new(Version::V5, "dying").will("v1/lost", b"x", 0, false);
    let mut watcher = client(&broker, "watcher").await;
    watcher.subscribe(&[("devices/lost", 0)]).await.unwrap();
    drop(broker.client(dying).await.unwrap());
    watcher.take("devices/lost").await.unwrap();

    watcher.publish_done("v1/kept", "x", 1, true).await.unwrap();
    watcher.subscribe(&[("devices/kept", 0)]).await.unwrap();
    assert!(watcher.take("devices/kept").await.unwrap().retain);
    broker.stop().await;
}

#[tokio::test]
async fn a_subscription_to_the_old_name_brings_the_new_one() {
    let broker = broker::<TopicRewrite>(rules()).await;
    let mut old = client(&broker, "old").await;
    let mut new = client(&broker, "new").await;
    assert_eq!(old.subscribe(&[("v1/+", 1)]).await.unwrap(), [1]);
    new.publish_done("devices/door", "x", 1, false)
        .await
        .unwrap();
    assert_eq!(old.take("devices/door").await.unwrap().qos, 1);
    new.publish_done("v1/door", "x", 1, false).await.unwrap();
    old.take("devices/door").await.unwrap();

    // It goes with the old one; that is told to an observer, whose turn comes soon.
    old.unsubscribe(&["v1/+"]).await.unwrap();
    let mut heard = 0;
    loop {
        new.publish_done("devices/door", "x", 1, false)
            .await
            .unwrap();
        old.ping().await.unwrap();
        old.ping().await.unwrap();
        if old.unasked().next().is_none() {
            break;
        }
        old.take("devices/door").await.unwrap();
        heard += 1;
        assert!(heard < 1000, "it is still heard");
    }
    broker.stop().await;
}

#[tokio::test]
async fn rules_that_make_no_sense_keep_the_broker_from_starting() {
    for (from, to) in [
        ("", "a/"),
        ("a/+/", "b/"),
        ("$x/", "b/"),
        ("a/", "$im/"),
        ("a/", "a/b/"),
    ] {
        let rules = json!({ "rules": [{ "from": from, "to": to }] });
        let started = builder::<TopicRewrite>(rules).start().await;
        assert!(started.is_err(), "{from} to {to}");
    }
}

mod conformance {
    use super::*;

    partyline_testkit::conformance!(partyline_testkit::Conformance::<TopicRewrite>::new(rules()));
}
