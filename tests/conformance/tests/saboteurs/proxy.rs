//! A broker that breaks what it is told to break: ours, behind a proxy that tampers with packets.

use std::net::SocketAddr;
use std::sync::Arc;

use partyline_plugin::Tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::packet::Packet;

/// What becomes of a packet.
pub(crate) type Tamper = Box<dyn Fn(Packet) -> Vec<Packet> + Send + Sync>;

/// How packets are tampered with, each way.
pub(crate) struct Sabotage {
    pub(crate) from_client: Tamper,
    pub(crate) from_broker: Tamper,
    /// Keeps every connection open, and says PINGRESP where the broker would have ended it.
    pub(crate) never_ends: bool,
}

/// Listens for as long as the test runs.
pub(crate) async fn listen(broker: SocketAddr, sabotage: Sabotage) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sabotage = Arc::new(sabotage);
    let tasks = Tasks::default();
    tasks.clone().spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            tasks.spawn(carry(client, broker, sabotage.clone()));
        }
    });
    address
}

async fn carry(client: TcpStream, broker: SocketAddr, sabotage: Arc<Sabotage>) {
    let upstream = TcpStream::connect(broker).await.unwrap();
    client.set_nodelay(true).unwrap();
    upstream.set_nodelay(true).unwrap();
    let (from_client, mut to_client) = client.into_split();
    let (from_broker, mut to_broker) = upstream.into_split();
    let there = pass(from_client, &mut to_broker, &sabotage.from_client);
    let back = pass(from_broker, &mut to_client, &sabotage.from_broker);
    tokio::pin!(there);
    tokio::select! {
        () = &mut there => return,
        () = back => {}
    }
    if sabotage.never_ends && to_client.write_all(&[0xd0, 0]).await.is_ok() {
        there.await;
    }
}

/// Ends with its reader or writer. What is no packet passes as it is.
async fn pass(mut from: OwnedReadHalf, to: &mut OwnedWriteHalf, tamper: &Tamper) {
    let mut input = Vec::new();
    loop {
        match from.read_buf(&mut input).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let mut output = Vec::new();
        while let Some(packet) = Packet::take(&mut input) {
            for packet in tamper(packet) {
                output.extend(packet.encode());
            }
        }
        // A length that does not end.
        if input
            .get(1..5)
            .is_some_and(|length| length.iter().all(|byte| byte & 0x80 != 0))
        {
            output.append(&mut input);
        }
        if to.write_all(&output).await.is_err() {
            return;
        }
    }
}
