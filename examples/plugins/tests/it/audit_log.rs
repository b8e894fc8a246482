use std::fs;
use std::path::Path;

use partyline_examples::AuditLog;
use partyline_testkit::{ConnectOptions, RawClient, Version};
use serde_json::{Value, json};

use crate::{broker, builder, client, user};

/// The lines of a file of the log, each JSON.
fn lines(data: &Path, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(data.join("audit-log").join(name)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test]
async fn a_visit_is_written_down_in_order() {
    let broker = broker::<AuditLog>(json!({ "messages": true })).await;
    let mut anna = user(&broker, "anna").await;
    anna.subscribe(&[("a/#", 1)]).await.unwrap();
    anna.publish_done("a/b", "secret", 1, false).await.unwrap();
    anna.take("a/b").await.unwrap();
    anna.unsubscribe(&["a/#"]).await.unwrap();
    anna.disconnect(0).await.unwrap();
    let mut refused = RawClient::open(broker.addresses().mqtt, Version::V5)
        .await
        .unwrap();
    let stranger = ConnectOptions::new(Version::V5, "stranger").login("no/body", "hush");
    assert_ne!(refused.connect(&stranger).await.unwrap().code, 0);
    // A stop waits for what observers still have to do.
    let folder = broker.stop().await;

    let lines = lines(folder.path(), "audit.jsonl");
    let events: Vec<&str> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "session_opened",
            "subscribed",
            "published",
            "unsubscribed",
            "session_closed",
            "auth_failed"
        ]
    );
    assert!(lines[0]["at_ms"].as_i64().unwrap() > 1_700_000_000_000);
    assert_eq!(lines[0]["who"]["user"], "anna");
    assert_eq!(lines[1]["filter"], "a/#");
    assert_eq!(lines[2]["bytes"], 6);
    assert_eq!(lines[4]["reason"], "Disconnected");
    assert_eq!(lines[5]["client_id"], "stranger");
    let text = lines.iter().map(ToString::to_string).collect::<String>();
    assert!(!text.contains("secret") && !text.contains("hush"), "{text}");
}

#[tokio::test]
async fn full_files_are_put_aside_and_the_oldest_goes() {
    let config = json!({ "messages": true, "file_bytes": 4096, "files": 2 });
    let broker = broker::<AuditLog>(config.clone()).await;
    let mut device = client(&broker, "c").await;
    for number in 0..200 {
        let topic = format!("topic/{number}");
        device.publish(&topic, "x", 0, false).await.unwrap();
    }
    device.ping().await.unwrap();
    let folder = broker.stop().await;

    let data = folder.path();
    let mut names: Vec<_> = fs::read_dir(data.join("audit-log"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["audit.1.jsonl", "audit.2.jsonl", "audit.jsonl"]);
    let mut all = Vec::new();
    for name in ["audit.2.jsonl", "audit.1.jsonl", "audit.jsonl"] {
        let size = fs::metadata(data.join("audit-log").join(name))
            .unwrap()
            .len();
        assert!(size <= 4096, "{name} has {size} bytes");
        all.extend(lines(data, name));
    }
    // The newest are there without a gap.
    let topics = all.iter().filter_map(|line| line["topic"].as_str());
    let topics: Vec<&str> = topics.collect();
    let first = 200 - topics.len();
    assert!(first > 0, "nothing was thrown away");
    for (topic, number) in topics.iter().zip(first..) {
        assert_eq!(*topic, format!("topic/{number}"));
    }

    // The next start goes on where this one ended.
    let last = lines(data, "audit.jsonl");
    let builder = builder::<AuditLog>(config).folder(folder);
    let broker = builder.start().await.unwrap();
    let device = client(&broker, "c").await;
    device.disconnect(0).await.unwrap();
    let folder = broker.stop().await;
    let now = lines(folder.path(), "audit.jsonl");
    assert_eq!(now[..last.len()], last);
    assert_eq!(now[last.len()]["event"], "session_opened");
}

mod conformance {
    use super::*;

    partyline_testkit::conformance!(partyline_testkit::Conformance::<AuditLog>::new(
        json!({ "messages": true })
    ));
}
