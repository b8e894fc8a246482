//! Every version of MQTT on every transport: one table, the same life for all.

use partyline_testkit::{ConnectOptions, RawClient, TestBroker, Version};
use tokio_rustls::TlsConnector;

use super::transport::{open, scenario, tls_broker};
use super::websocket::ws_open;
use super::{VERSIONS, by_version, kept, tells_presence};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Tcp,
    Tls,
    WebSocket,
}

const TRANSPORTS: [Transport; 3] = [Transport::Tcp, Transport::Tls, Transport::WebSocket];

/// A broker that listens on all of them.
struct Stage {
    broker: TestBroker,
    trusting: TlsConnector,
}

impl Stage {
    async fn open(&self, over: Transport, version: Version) -> anyhow::Result<RawClient> {
        Ok(match over {
            Transport::Tcp => RawClient::open(self.broker.addresses().mqtt, version).await?,
            Transport::Tls => RawClient::over(open(&self.broker, &self.trusting).await?, version),
            Transport::WebSocket => ws_open(&self.broker, version, usize::MAX).await,
        })
    }

    /// Connects; the client and whether its session was there.
    async fn connect(
        &self,
        over: Transport,
        options: &ConnectOptions,
    ) -> anyhow::Result<(RawClient, bool)> {
        let mut client = self.open(over, options.version).await?;
        let connack = client.connect(options).await?;
        anyhow::ensure!(connack.code == 0, "refused with {:#04x}", connack.code);
        Ok((client, connack.session_present))
    }
}

#[tokio::test]
async fn every_version_lives_on_every_transport() -> anyhow::Result<()> {
    let (broker, trusting) = tls_broker(|_| {}).await?;
    let stage = Stage { broker, trusting };
    for over in TRANSPORTS {
        for version in VERSIONS {
            let fresh = |id| ConnectOptions::new(version, id);
            // Every QoS, to every transport and from it.
            for other in TRANSPORTS {
                let (one, _) = stage.connect(over, &fresh("one")).await?;
                let (other, _) = stage.connect(other, &fresh("other")).await?;
                scenario(one, other).await?;
            }

            // A session waits for its client, whatever it comes back over.
            for back in TRANSPORTS {
                let (mut away, _) = stage.connect(over, &kept(version, "away")).await?;
                away.subscribe(&[("news", 2)]).await?;
                away.disconnect(0).await?;
                let (mut writer, _) = stage.connect(Transport::Tcp, &fresh("writer")).await?;
                writer.publish_done("news", "n", 2, false).await?;
                let (mut away, present) = stage.connect(back, &kept(version, "away")).await?;
                assert_eq!(
                    present,
                    tells_presence(version),
                    "{over:?} {version:?} {back:?}"
                );
                assert_eq!(away.take("news").await?.payload, "n");
                away.disconnect(0).await?;
                // Gone for good.
                stage
                    .connect(back, &fresh("away"))
                    .await?
                    .0
                    .disconnect(0)
                    .await?;
            }

            // Another connection of the same client takes over, and the lost one has a will.
            let (mut watcher, _) = stage.connect(Transport::Tcp, &fresh("watcher")).await?;
            watcher.subscribe(&[("wills/+", 1)]).await?;
            let willed = fresh("one").will("wills/one", b"gone", 1, false);
            let (mut first, _) = stage.connect(over, &willed).await?;
            let (mut second, _) = stage.connect(over, &willed).await?;
            assert_eq!(watcher.take("wills/one").await?.payload, "gone");
            if version == Version::V5 {
                assert_eq!(first.disconnected().await?, 0x8e);
            }
            first.closed().await?;
            second.ping().await?;
            drop(second);
            assert_eq!(watcher.take("wills/one").await?.payload, "gone");

            // Who is refused is told so.
            let wrong = fresh("one").login("no app key", "x");
            let connack = stage.open(over, version).await?.connect(&wrong).await?;
            assert_eq!(connack.code, by_version(version, 0x86, 4));
        }
    }
    stage.broker.stop().await;
    Ok(())
}
