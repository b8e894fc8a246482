//! The same protocol over TLS, and what every transport must carry.

use std::sync::Arc;

use partyline_system_tests::OpenDoor;
use partyline_testkit::{
    BrokerConfig, ConnectOptions, Packet, RawClient, TestBroker, TlsConfig, Version,
};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::{VERSIONS, client};

/// Every QoS there and back, and something larger than any buffer.
pub(super) async fn scenario(mut one: RawClient, mut other: RawClient) -> anyhow::Result<()> {
    other.subscribe(&[("a/+", 2)]).await?;
    for qos in 0..=2 {
        one.publish_done("a/b", [qos], qos, false).await?;
        let message = other.take("a/b").await?;
        assert_eq!((message.qos, &message.payload[..]), (qos, &[qos][..]));
    }
    let large = vec![7; 200_000];
    one.publish_done("a/large", &large, 1, false).await?;
    assert_eq!(other.take("a/large").await?.payload, large);
    one.quiet().await?;
    other.quiet().await?;
    other.disconnect(0).await?;
    one.disconnect(0).await
}

/// A broker with a TLS listener, and a client's configuration that trusts its certificate.
pub(super) async fn tls_broker(
    change: impl FnOnce(&mut BrokerConfig),
) -> anyhow::Result<(TestBroker, TlsConnector)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let folder = tempfile::tempdir()?;
    let tls = TlsConfig {
        cert: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&tls.cert, made.cert.pem())?;
    std::fs::write(&tls.key, made.signing_key.serialize_pem())?;
    let broker = TestBroker::builder()
        .plugin::<OpenDoor>(json!({}))
        .config(|config| {
            config.mqtt.tls_listen = Some(([127, 0, 0, 1], 0).into());
            config.mqtt.tls = Some(tls);
            change(config);
        })
        .folder(folder)
        .start()
        .await?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((broker, TlsConnector::from(Arc::new(config))))
}

pub(super) async fn open(
    broker: &TestBroker,
    connector: &TlsConnector,
) -> anyhow::Result<TlsStream<TcpStream>> {
    let address = broker.addresses().mqtts.expect("a TLS listener");
    let stream = TcpStream::connect(address).await?;
    Ok(connector
        .connect(ServerName::try_from("localhost")?, stream)
        .await?)
}

#[tokio::test]
async fn every_version_speaks_over_tls() -> anyhow::Result<()> {
    let (broker, connector) = tls_broker(|_| {}).await?;
    for version in VERSIONS {
        for one_is_plain in [true, false] {
            let secure = open(&broker, &connector).await?;
            let mut secure = RawClient::over(secure, version);
            let connack = secure
                .connect(&ConnectOptions::new(version, "secure"))
                .await?;
            assert_eq!(connack.code, 0);
            let plain = client(&broker, version, "plain").await;
            let (one, other) = if one_is_plain {
                (plain, secure)
            } else {
                (secure, plain)
            };
            scenario(one, other).await?;
        }
    }
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn a_client_that_does_not_speak_tls_disturbs_nobody() -> anyhow::Result<()> {
    let (broker, connector) = tls_broker(|config| config.mqtt.connect_timeout = 1).await?;
    let address = broker.addresses().mqtts.expect("a TLS listener");
    let mut plain = RawClient::open(address, Version::V311).await?;
    plain
        .send_bytes(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x")
        .await?;
    // What comes back is a TLS alert, if anything; then the end.
    while !matches!(plain.next().await, Ok(Packet::Closed) | Err(_)) {}
    let mut silent = RawClient::open(address, Version::V311).await?;
    assert_eq!(silent.next().await?, Packet::Closed, "no handshake in time");
    let mut secure = RawClient::over(open(&broker, &connector).await?, Version::V5);
    secure
        .connect(&ConnectOptions::new(Version::V5, "one"))
        .await?;
    secure.ping().await?;
    broker.stop().await;
    assert!(matches!(secure.next().await?, Packet::Disconnect(0x8b, _)));
    secure.closed().await
}

#[tokio::test]
async fn a_missing_certificate_keeps_the_broker_from_starting() {
    let tls = TlsConfig {
        cert: "/nowhere/cert.pem".into(),
        key: "/nowhere/key.pem".into(),
    };
    for (tls, why) in [
        (None, "mqtt.tls_listen cannot be used: needs [mqtt.tls]"),
        (Some(tls), "cannot use /nowhere/cert.pem: "),
    ] {
        let started = TestBroker::builder()
            .config(|config| {
                config.mqtt.tls_listen = Some(([127, 0, 0, 1], 0).into());
                config.mqtt.tls = tls;
            })
            .start();
        let error = format!("{:#}", started.await.unwrap_err());
        assert!(error.contains(why), "{error}");
    }
}
