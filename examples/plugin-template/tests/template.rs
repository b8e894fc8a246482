//! The plugin in a broker, over real sockets.

use partyline_plugin_template::Template;
use partyline_testkit::{Conformance, ConnectOptions, OpenDoor, TestBroker, Version, conformance};
use serde_json::json;

// What every plugin should do; a test for each rule.
conformance!(Conformance::<Template>::new(json!({ "word": "hush" })));

#[tokio::test]
async fn the_word_is_refused_and_counted() {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Template>(json!({ "word": "hush" }))
        .start()
        .await
        .unwrap();
    let client = ConnectOptions::new(Version::V5, "client");
    let mut client = broker.client(client).await.unwrap();
    client.subscribe(&[("news", 1)]).await.unwrap();

    let said = client.publish_done("news", "hello", 1, false).await;
    assert_eq!(said.unwrap(), 0);
    client.take("news").await.unwrap();

    let refused = client.publish_done("news", "hush hush", 1, false).await;
    assert_eq!(refused.unwrap(), 0x87);
    client.quiet().await.unwrap();

    let count = client.ok("$x/template/refused", &json!({})).await.unwrap();
    assert_eq!(count, json!({ "messages": 1 }));
    broker.stop().await;
}
