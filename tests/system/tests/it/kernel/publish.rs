//! PUBLISH at every QoS, between all versions.

use partyline_testkit::Packet;

use super::{VERSIONS, broker, client};

#[tokio::test]
async fn every_qos_between_all_versions() -> anyhow::Result<()> {
    let broker = broker().await;
    for from in VERSIONS {
        for to in VERSIONS {
            let mut publisher = client(&broker, from, "publisher").await;
            let mut subscriber = client(&broker, to, "subscriber").await;
            assert_eq!(subscriber.subscribe(&[("a/+", 2)]).await?, [2]);
            for qos in 0..=2 {
                let id = publisher.publish("a/b", [qos], qos, false).await?;
                match qos {
                    0 => {}
                    1 => assert_eq!(publisher.acked(4, id).await?, 0),
                    _ => {
                        assert_eq!(publisher.acked(5, id).await?, 0);
                        publisher.ack(6, id).await?;
                        assert_eq!(publisher.acked(7, id).await?, 0);
                    }
                }
                let message = subscriber.publish_on("a/b").await?;
                assert_eq!((message.qos, &message.payload[..]), (qos, &[qos][..]));
                assert!(!message.dup && !message.retain);
                match qos {
                    0 => {}
                    1 => subscriber.puback(message.id).await?,
                    _ => {
                        subscriber.ack(5, message.id).await?;
                        assert_eq!(subscriber.acked(6, message.id).await?, 0);
                        subscriber.ack(7, message.id).await?;
                    }
                }
            }
            subscriber.ping().await?;
            let left: Vec<&Packet> = subscriber.unasked().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
    broker.stop().await;
    Ok(())
}
