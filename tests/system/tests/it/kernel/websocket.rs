//! MQTT over WebSocket.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use partyline_plugin::Tasks;
use partyline_protocol::AppKey;
use partyline_system_tests::APP;
use partyline_testkit::{ConnectOptions, RawClient, TestBroker, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::transport::scenario;
use super::{VERSIONS, broker, broker_with, client};

type Ws = WebSocketStream<TcpStream>;

/// Opens a WebSocket; `Err` with the status if the broker refuses.
async fn websocket(address: SocketAddr, path: &str, protocol: Option<&str>) -> Result<Ws, u16> {
    page(address, path, protocol, &[]).await
}

/// The same from a page of these origins.
async fn page(
    address: SocketAddr,
    path: &str,
    protocol: Option<&str>,
    origins: &[&str],
) -> Result<Ws, u16> {
    let mut request = format!("ws://{address}{path}")
        .into_client_request()
        .unwrap();
    if let Some(protocol) = protocol {
        let value = HeaderValue::from_str(protocol).unwrap();
        request
            .headers_mut()
            .insert("sec-websocket-protocol", value);
    }
    for origin in origins {
        let value = HeaderValue::from_str(origin).unwrap();
        request.headers_mut().append("origin", value);
    }
    let stream = TcpStream::connect(address).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((websocket, response)) => {
            let chosen = response.headers().get("sec-websocket-protocol").unwrap();
            assert!(protocol.unwrap().contains(chosen.to_str().unwrap()));
            Ok(websocket)
        }
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

/// Carries bytes between a client and a WebSocket, each write in frames of `size` bytes.
async fn carry(mut websocket: Ws, bytes: DuplexStream, size: usize) {
    let (mut from_client, mut to_client) = tokio::io::split(bytes);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            read = from_client.read(&mut chunk) => {
                let Ok(count @ 1..) = read else { return };
                for part in chunk[..count].chunks(size) {
                    if websocket.send(Message::Binary(part.to_vec().into())).await.is_err() {
                        return;
                    }
                }
            }
            frame = websocket.next() => match frame {
                Some(Ok(Message::Binary(bytes))) => {
                    if to_client.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                _ => return,
            },
        }
    }
}

/// A client over WebSocket that puts at most `size` bytes in a frame; nothing is sent yet.
pub(super) async fn ws_open(broker: &TestBroker, version: Version, size: usize) -> RawClient {
    let protocol = if version == Version::V31 {
        "mqttv3.1"
    } else {
        "mqtt"
    };
    let websocket = websocket(broker.addresses().ws, "/mqtt", Some(protocol))
        .await
        .unwrap();
    let (near, far) = tokio::io::duplex(64 * 1024);
    Tasks::default().spawn(carry(websocket, far, size));
    RawClient::over(near, version)
}

/// The same, connected.
async fn ws_client(broker: &TestBroker, version: Version, id: &str, size: usize) -> RawClient {
    let mut client = ws_open(broker, version, size).await;
    let connack = client.connect(&ConnectOptions::new(version, id)).await;
    assert_eq!(connack.unwrap().code, 0);
    client
}

#[tokio::test]
async fn frames_need_not_align_with_packets() -> anyhow::Result<()> {
    let broker = broker().await;
    for version in VERSIONS {
        let mut tiny = ws_client(&broker, version, "tiny", 1).await;
        tiny.publish_done("a", "x", 2, false).await?;
        tiny.quiet().await?;
        for size in [1000, usize::MAX] {
            let one = ws_client(&broker, version, "one", size).await;
            scenario(one, client(&broker, version, "other").await).await?;
            let other = ws_client(&broker, version, "other", size).await;
            scenario(client(&broker, version, "one").await, other).await?;
        }
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_frame_may_hold_several_packets_and_more_than_the_largest() -> anyhow::Result<()> {
    let broker = broker_with(|config| config.limits.packet_bytes = 1000).await;
    let mut one = ws_client(&broker, Version::V311, "one", usize::MAX).await;
    one.subscribe(&[("a", 0)]).await?;
    let publish = [&b"\x30\xd8\x04\x00\x01a"[..], &[b'x'; 597]].concat();
    one.send_bytes(&publish.repeat(5)).await?;
    for _ in 0..5 {
        assert_eq!(one.publish_on("a").await?.payload.len(), 597);
    }
    one.quiet().await?;
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn every_path_is_served_and_only_the_subprotocol_of_mqtt() -> anyhow::Result<()> {
    let broker = broker().await;
    let address = broker.addresses().ws;
    for (path, protocol) in [
        ("/", "mqtt"),
        ("/mqtt", "mqtt, other"),
        ("/any/path?x=1", "other,mqtt"),
        ("/", "mqttv3.1"),
    ] {
        assert!(
            websocket(address, path, Some(protocol)).await.is_ok(),
            "{path} {protocol}"
        );
    }
    for protocol in [None, Some("other"), Some("mqtt5"), Some("MQTT")] {
        assert_eq!(
            websocket(address, "/mqtt", protocol).await.err(),
            Some(400),
            "{protocol:?}"
        );
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn pages_come_from_the_origins_that_are_listed() -> anyhow::Result<()> {
    let app = AppKey::parse(APP)?;
    let (listed, stranger) = ("https://app.example", "http://app.example");
    for (origins, anonymous, origin, status) in [
        // Without a list, wherever one needs credentials.
        (&[][..], false, &[stranger][..], None),
        (&[], false, &["null"], None),
        (&[], true, &[stranger], Some(403)),
        (&[], true, &["null"], Some(403)),
        (&[], true, &["http://127.0.0.1:8083"], Some(403)),
        // With one, what is in it.
        (&[listed], true, &[listed], None),
        (&[listed], true, &["HTTPS://App.Example"], None),
        (&[listed], false, &[stranger], Some(403)),
        (&[listed], true, &[stranger], Some(403)),
        (&[listed], true, &["https://app.example.evil"], Some(403)),
        (&[listed], true, &["https://app.example:444"], Some(403)),
        (&[listed], true, &["null"], Some(403)),
        (&[listed], true, &[listed, stranger], Some(403)),
        (&["http://b", "null"], true, &["null"], None),
        (&["*"], true, &[stranger], None),
        // Who is no browser names none.
        (&[], true, &[], None),
        (&[listed], true, &[], None),
    ] {
        let broker = broker_with(|config| {
            config.mqtt.ws_origins = origins.iter().map(|&one| one.to_owned()).collect();
            config.mqtt.anonymous_app = anonymous.then(|| app.clone());
        })
        .await;
        let opened = page(broker.addresses().ws, "/", Some("mqtt"), origin).await;
        assert_eq!(opened.err(), status, "{origins:?} {anonymous} {origin:?}");
        broker.stop().await;
    }
    Ok(())
}

#[tokio::test]
async fn an_origin_that_no_browser_says_keeps_the_broker_from_starting() {
    for origin in [
        "",
        "app.example",
        "https://",
        "https://a/",
        "https://*.a",
        "https://a b",
    ] {
        let started = TestBroker::builder()
            .config(|config| config.mqtt.ws_origins = vec![origin.to_owned()])
            .start();
        let error = format!("{:#}", started.await.unwrap_err());
        assert!(error.contains("mqtt.ws_origins"), "{origin}: {error}");
    }
}

/// [MQTT-6.0.0-1]
#[tokio::test]
async fn a_text_frame_closes() -> anyhow::Result<()> {
    let broker = broker().await;
    for first in [true, false] {
        let mut websocket = websocket(broker.addresses().ws, "/", Some("mqtt"))
            .await
            .unwrap();
        if !first {
            let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x";
            websocket.send(Message::Binary(connect[..].into())).await?;
            let connack = websocket.next().await.unwrap()?;
            assert_eq!(connack, Message::Binary(b"\x20\x02\x00\x00"[..].into()));
        }
        websocket.send(Message::text("hello")).await?;
        let end = tokio::time::timeout(partyline_testkit::PATIENCE, async {
            while let Some(Ok(frame)) = websocket.next().await {
                assert!(matches!(frame, Message::Close(_)), "{frame:?}");
            }
        });
        end.await?;
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn websocket_pings_are_answered_and_a_close_frame_ends_with_the_will() -> anyhow::Result<()> {
    let broker = broker().await;
    let mut watcher = client(&broker, Version::V5, "watcher").await;
    watcher.subscribe(&[("w", 0)]).await?;
    let mut websocket = websocket(broker.addresses().ws, "/", Some("mqtt"))
        .await
        .unwrap();
    let connect = b"\x10\x13\x00\x04MQTT\x04\x06\x00\x3c\x00\x01x\x00\x01w\x00\x01!";
    websocket.send(Message::Binary(connect[..].into())).await?;
    websocket.next().await.unwrap()?;
    websocket
        .send(Message::Ping("are you there".into()))
        .await?;
    assert_eq!(
        websocket.next().await.unwrap()?,
        Message::Pong("are you there".into())
    );
    websocket.close(None).await?;
    assert_eq!(watcher.take("w").await?.payload, "!");
    broker.stop().await;
    Ok(())
}
