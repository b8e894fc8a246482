//! The HTTP routes of plugins, and the list of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use partyline_plugin::axum::Router;
use partyline_plugin::axum::extract::Request;
use partyline_plugin::axum::http::header::AUTHORIZATION;
use partyline_plugin::axum::routing::{get, post};
use partyline_plugin::{Health, Plugin, PluginContext, Registrar, Tasks};
use partyline_system_tests::{OpenDoor, http, http_get};
use partyline_testkit::{AdminToken, BrokerConfig, TestBroker, Version};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

struct Pages {
    /// Told when the route that never answers was asked.
    asked: Arc<Notify>,
}

#[async_trait]
impl Plugin for Pages {
    const ID: &'static str = "pages";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self {
            asked: Arc::default(),
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides(Arc::clone(self));
    }

    fn routes(self: &Arc<Self>) -> Router {
        let asked = Arc::clone(&self.asked);
        Router::new()
            .route("/", get(|| async { "front page" }))
            .route(
                "/length",
                post(|body: String| async move { body.len().to_string() }),
            )
            .route("/panic", get(panicking))
            .route(
                "/never",
                get(|| async move {
                    asked.notify_one();
                    std::future::pending::<String>().await
                }),
            )
            .route(
                "/secret",
                get(|request: Request| async move {
                    request.headers().contains_key(AUTHORIZATION).to_string()
                }),
            )
    }

    async fn health(&self) -> Health {
        Health::Down("out of paper".to_owned())
    }
}

async fn panicking() -> String {
    panic!("on purpose")
}

/// Has no routes.
struct Silent;

#[async_trait]
impl Plugin for Silent {
    const ID: &'static str = "silent";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn register(self: &Arc<Self>, _: &mut Registrar) {}
}

async fn broker(change: impl FnOnce(&mut BrokerConfig)) -> anyhow::Result<TestBroker> {
    TestBroker::builder()
        .plugin::<Pages>(json!({}))
        .plugin::<Silent>(json!({}))
        .config(change)
        .start()
        .await
}

#[tokio::test]
async fn routes_are_nested_under_the_plugins_id() -> anyhow::Result<()> {
    let broker = broker(|_| {}).await?;
    let address = broker.addresses().http;
    for (path, status, body) in [
        ("/v1/plugins/pages", 200, "front page"),
        ("/v1/plugins/pages/nothing", 404, "there is nothing here"),
        ("/v1/plugins/silent", 404, "there is nothing here"),
        ("/pages", 404, "there is nothing here"),
    ] {
        let reply = http_get(address, path).await?;
        assert_eq!((reply.status, &*reply.body), (status, body), "{path}");
    }
    let list: Value = serde_json::from_str(&http_get(address, "/v1/plugins").await?.body)?;
    let expected = json!({ "plugins": [
        { "id": "pages", "health": "down", "why": "out of paper" },
        { "id": "silent", "health": "up" },
    ] });
    assert_eq!(list, expected);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn the_chain_says_what_packets_meet_and_how_it_fares() -> anyhow::Result<()> {
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .plugin::<Pages>(json!({}))
        .start()
        .await?;
    let mut one = super::client(&broker, Version::V5, "one").await;
    one.publish_done("a", "x", 1, false).await?;
    one.publish_done("b", "x", 1, false).await?;
    let reply = http_get(broker.addresses().http, "/v1/plugins/chain").await?;
    assert!(reply.head.contains("content-type: application/json"));
    let chain: Value = serde_json::from_str(&reply.body)?;
    let hooks = chain["hooks"].as_array().expect("a list");
    let hook = |point: &str| {
        hooks
            .iter()
            .find(|hook| hook["point"] == point)
            .expect(point)
    };
    assert_eq!(hook("authenticate")["plugin"], "open-door");
    assert_eq!(hook("authenticate")["calls"], 1);
    let publish = hook("authorize_publish");
    assert_eq!(publish["calls"], 2);
    assert_eq!(publish["on_fault"], "deny");
    assert_eq!(publish["breaker_open"], false);
    assert!(
        publish["deadline_ms"]
            .as_u64()
            .is_some_and(|deadline| deadline > 0)
    );
    let namespaces = chain["namespaces"].as_array().expect("a list");
    assert!(
        namespaces.iter().any(|one| one["prefix"] == "$SYS/"),
        "{namespaces:?}"
    );
    let outlets = chain["outlets"].as_array().expect("a list");
    let version = outlets
        .iter()
        .find(|one| one["topic"] == "$SYS/broker/version");
    assert_eq!(version.expect("an outlet")["audience"], "servers");
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_panic_a_long_body_and_a_long_wait_are_contained() -> anyhow::Result<()> {
    let broker = broker(|config| {
        config.http.request_timeout = 1;
        config.http.body_bytes = 10;
    })
    .await?;
    let address = broker.addresses().http;
    let here = address.to_string();
    for (what, body, status, answer) in [
        ("POST /v1/plugins/pages/length", "0123456789", 200, "10"),
        (
            "POST /v1/plugins/pages/length",
            "0123456789a",
            413,
            "length limit exceeded",
        ),
        ("GET /v1/plugins/pages/panic", "", 500, "the plugin failed"),
        ("GET /v1/plugins/pages/never", "", 503, ""),
        ("POST /v1/plugins/pages/length", "x", 200, "1"),
    ] {
        let reply = http(address, what, &[("host", &here)], body).await?;
        assert_eq!((reply.status, &*reply.body), (status, answer), "{what}");
    }
    broker.stop().await;
    Ok(())
}

/// A body whose length is not told in advance.
#[tokio::test]
async fn a_body_in_chunks_is_bounded_too() -> anyhow::Result<()> {
    let broker = broker(|config| config.http.body_bytes = 10).await?;
    let address = broker.addresses().http;
    let here = address.to_string();
    let chunked = |body: &str| {
        let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        format!(
            "POST /v1/plugins/pages/length HTTP/1.1\r\nhost: {here}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunk}"
        )
    };
    for (body, status) in [("0123456789", "200"), ("0123456789a", "413")] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(chunked(body).as_bytes()).await?;
        let mut reply = String::new();
        tokio::time::timeout(
            partyline_testkit::PATIENCE,
            stream.read_to_string(&mut reply),
        )
        .await??;
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}")), "{reply}");
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_plugin_does_not_see_the_token() -> anyhow::Result<()> {
    let token = "a-token-for-tests-only";
    let broker = broker(|config| {
        config.http.admin_token = Some(AdminToken::from(token.to_owned()));
    })
    .await?;
    let brought = format!("Bearer {token}");
    let headers = [("host", "x"), ("authorization", &*brought)];
    let address = broker.addresses().http;
    let reply = http(address, "GET /v1/plugins/pages/secret", &headers, "").await?;
    assert_eq!((reply.status, &*reply.body), (200, "false"));
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_request_that_waits_ends_when_the_broker_stops() -> anyhow::Result<()> {
    let broker = broker(|_| {}).await?;
    let pages = broker.services().get::<Pages>()?;
    let address = broker.addresses().http;
    let (sender, answer) = tokio::sync::oneshot::channel();
    Tasks::default().spawn(async move {
        let _ = sender.send(http_get(address, "/v1/plugins/pages/never").await);
    });
    pages.asked.notified().await;
    broker.stop().await;
    let reply = tokio::time::timeout(Duration::from_secs(5), answer).await???;
    assert_eq!((reply.status, &*reply.body), (503, "the broker stops"));
    Ok(())
}

/// A plugin whose routes are not possible.
macro_rules! impossible {
    ($name:ident, $id:literal, $routes:expr) => {
        struct $name;

        #[async_trait]
        impl Plugin for $name {
            const ID: &'static str = $id;
            type Config = Config;

            async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
                Ok(Self)
            }

            fn register(self: &Arc<Self>, _: &mut Registrar) {}

            fn routes(self: &Arc<Self>) -> Router {
                $routes
            }
        }
    };
}

impossible!(Chain, "chain", Router::new().route("/", get(|| async {})));
impossible!(
    Twice,
    "twice",
    Router::new()
        .route("/a", get(|| async {}))
        .route("/a", get(|| async {}))
);

#[tokio::test]
async fn routes_that_overlap_keep_the_broker_from_starting() {
    async fn refused<P: Plugin>() {
        let started = TestBroker::builder().plugin::<P>(json!({})).start().await;
        let error = format!("{:#}", started.unwrap_err());
        let wanted = format!("plugin `{}` cannot have its HTTP routes", P::ID);
        assert!(error.contains(&wanted), "{error}");
    }
    refused::<Chain>().await;
    refused::<Twice>().await;
}
