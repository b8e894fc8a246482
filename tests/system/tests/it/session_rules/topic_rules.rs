//! What `[plugins.acl] rules` let devices and users do with plain topics.

use partyline_testkit::{ConnectOptions, RawClient, Version};

use super::entrance::{SECRET, open_server_with};

/// The order counts: the first that matches decides.
const RULES: &str = r#"
[plugins.acl]
rules = [
    { effect = "deny", action = "subscribe", topic = "secret/#" },
    { effect = "deny", action = "publish", topic = "box/%u/sealed" },
    { effect = "allow", action = "all", topic = "box/%u/#" },
    { effect = "allow", action = "publish", topic = "news/+" },
    { effect = "deny", action = "all", topic = "news/#" },
    { effect = "allow", action = "subscribe", topic = "news/today" },
    { effect = "allow", action = "all", topic = "own/%c" },
    { effect = "deny", action = "publish", topic = "locked/%c" },
    { effect = "allow", action = "publish", topic = "locked/+" },
    { effect = "allow", action = "all", topic = "bobbys/#", user = "bobby" },
]
"#;

const NOT_AUTHORIZED: u8 = 0x87;

async fn may_publish(client: &mut RawClient, topic: &str) -> anyhow::Result<bool> {
    let id = client.publish(topic, "hello", 1, false).await?;
    let reason = client.acked(4, id).await?;
    assert!(reason < 0x80 || reason == NOT_AUTHORIZED, "{reason:#04x}");
    Ok(reason < 0x80)
}

async fn may_subscribe(client: &mut RawClient, filter: &str) -> anyhow::Result<bool> {
    let reason = client.subscribe(&[(filter, 1)]).await?[0];
    assert!(reason < 0x80 || reason == NOT_AUTHORIZED, "{reason:#04x}");
    Ok(reason < 0x80)
}

#[tokio::test]
async fn the_first_rule_that_matches_decides() -> anyhow::Result<()> {
    let server = open_server_with(RULES).await?;
    let alice = server.user(Version::V5, "alice", "phone");
    let mut alice = server.connect(&alice).await?;
    for (topic, allowed) in [
        ("box/alice/letters", true),
        ("box/alice", true),
        ("box/alice/sealed", false),
        ("box/bobby/letters", false),
        ("box/bobby/sealed", false),
        ("news/today", true),
        ("news/today/extra", false),
        ("secret/plan", false),
        ("own/alice-phone", true),
        ("own/bobby-phone", false),
        ("locked/alice-phone", false),
        ("locked/bobby-phone", true),
        ("bobbys/diary", false),
        ("elsewhere", false),
    ] {
        assert_eq!(may_publish(&mut alice, topic).await?, allowed, "{topic}");
    }
    for (filter, allowed) in [
        // An allow covers all of it.
        ("box/alice/#", true),
        ("box/alice/+", true),
        ("box/alice/sealed", true),
        ("box/+/letters", false),
        ("box/#", false),
        // A deny overlaps any of it.
        ("secret/plan", false),
        ("+/plan", false),
        ("#", false),
        ("news/today", false),
        ("own/alice-phone", true),
        ("own/+", false),
        ("bobbys/diary", false),
    ] {
        assert_eq!(
            may_subscribe(&mut alice, filter).await?,
            allowed,
            "{filter}"
        );
    }
    let bobby = server.user(Version::V5, "bobby", "phone");
    let mut bobby = server.connect(&bobby).await?;
    assert!(may_publish(&mut bobby, "bobbys/diary").await?);
    assert!(may_subscribe(&mut bobby, "bobbys/#").await?);
    server.discard().await
}

#[tokio::test]
async fn a_placeholder_with_an_unfit_value_never_allows_and_denies_every_level()
-> anyhow::Result<()> {
    let server = open_server_with(RULES).await?;
    let device = |client_id: &str| {
        ConnectOptions::new(Version::V5, client_id).login(server.app.clone(), SECRET)
    };
    for (client_id, filter) in [("+", "own/+"), ("#", "own/#"), ("a/b", "own/a/b")] {
        let mut client = server.connect(&device(client_id)).await?;
        assert!(!may_subscribe(&mut client, filter).await?, "{filter}");
        assert!(
            !may_publish(&mut client, "locked/any").await?,
            "{client_id}"
        );
        // Nobody is logged in: there is no user's box.
        for topic in ["box//letters", "box/alice/letters"] {
            assert!(!may_publish(&mut client, topic).await?, "{topic}");
        }
    }
    let mut slashed = server.connect(&device("a/b")).await?;
    assert!(!may_publish(&mut slashed, "own/a/b").await?);
    let mut plain = server.connect(&device("plain")).await?;
    assert!(may_publish(&mut plain, "own/plain").await?);
    assert!(may_publish(&mut plain, "locked/any").await?);
    server.discard().await
}
