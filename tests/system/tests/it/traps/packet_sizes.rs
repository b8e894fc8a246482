//! Libraries with small limits: rumqttc drops its connection over a packet above 10 KiB.

use partyline_system_tests::Server;
use partyline_testkit::{Publish, RawClient, Version};
use serde_json::json;

use crate::chat::batch::texts;
use crate::chat::library::Library;
use crate::chat::stage::{batch, listen, server_with, text_to, user};

const ROOMY: &str = "
[limits]
commands_per_second = 100000
command_burst = 100000
[plugins.im]
sends_per_minute = 0
inbox_messages = 1000
";

/// A server on which `count` texts of this size, numbered from 1, wait for bobby.
async fn server_with_waiting(count: usize, size: usize) -> anyhow::Result<Server> {
    let server = server_with(ROOMY).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    for number in 1..=count {
        let id = number.to_string();
        let text = format!("{number:0>size$}");
        alice
            .ok("$im/message/send", &text_to("bobby", &id, &text))
            .await?;
    }
    alice.disconnect(0).await?;
    Ok(server)
}

/// Bytes of the packet at the most: fixed header, topic, packet id, no properties.
fn packet_bytes(packet: &Publish) -> usize {
    5 + 2 + packet.topic.len() + 2 + 1 + packet.payload.len()
}

/// Takes everything up to `seq`; gives the largest packet and the items' numbers.
async fn take(bobby: &mut RawClient, seq: u64) -> anyhow::Result<(usize, Vec<u64>)> {
    let (mut largest, mut seqs) = (0, Vec::new());
    while seqs.last() != Some(&seq) {
        let (packet, batch) = batch(bobby).await?;
        largest = largest.max(packet_bytes(&packet));
        seqs.extend(batch.items.iter().filter_map(|item| item["seq"].as_u64()));
        bobby.puback(packet.id).await?;
    }
    Ok((largest, seqs))
}

crate::chat::stage::on_both! {
    rumqttc_with_its_defaults_takes_200_offline_messages,
    a_batch_has_at_most_8_kib_by_default,
    the_maximum_packet_size_of_the_client_is_kept_to,
    up_to_64_kib_come_when_asked_for,
    an_item_too_large_alone_comes_as_oversize_and_the_stream_goes_on,
}

async fn rumqttc_with_its_defaults_takes_200_offline_messages() -> anyhow::Result<()> {
    let server = server_with_waiting(200, 1024).await?;
    for (device, library) in [Library::RumqttcV4, Library::RumqttcV5].iter().enumerate() {
        let mut bobby = library
            .connect(&server, "bobby", &format!("phone-{device}"))
            .await?;
        // The second device would begin where the first one ended.
        let wish = json!({"roaming": true, "deliver": true});
        bobby.request("$im/session/configure", &wish).await?;
        let items = bobby.items_to(200).await?;
        let expected: Vec<String> = (1..=200).map(|n| format!("{n:0>1024}")).collect();
        assert_eq!(texts(&items), expected);
        bobby.leave().await?;
    }
    server.discard().await
}

async fn a_batch_has_at_most_8_kib_by_default() -> anyhow::Result<()> {
    let server = server_with_waiting(40, 1024).await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    listen(&mut bobby).await?;
    let (largest, seqs) = take(&mut bobby, 40).await?;
    assert!((4096..=8192).contains(&largest), "{largest}");
    assert_eq!(seqs, (1..=40).collect::<Vec<_>>());
    server.discard().await
}

async fn the_maximum_packet_size_of_the_client_is_kept_to() -> anyhow::Result<()> {
    const MAXIMUM: u32 = 3000;
    let server = server_with_waiting(20, 500).await?;
    let options = server
        .user(Version::V5, "bobby", "phone")
        .property(0x27, MAXIMUM.to_be_bytes().to_vec());
    let mut bobby = server.connect(&options).await?;
    // What the client can take goes before what it wishes.
    let wish = json!({"max_batch": 65536});
    bobby.ok("$im/session/configure", &wish).await?;
    listen(&mut bobby).await?;
    let (largest, seqs) = take(&mut bobby, 20).await?;
    assert!((1500..=3000).contains(&largest), "{largest}");
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    server.discard().await
}

async fn up_to_64_kib_come_when_asked_for() -> anyhow::Result<()> {
    let server = server_with_waiting(100, 1024).await?;
    let mut bobby = user(&server, "bobby", "phone").await?;
    let wish = json!({"max_batch": 65536});
    bobby.ok("$im/session/configure", &wish).await?;
    listen(&mut bobby).await?;
    let (largest, _) = take(&mut bobby, 100).await?;
    assert!((60_000..=65_536).contains(&largest), "{largest}");
    server.discard().await
}

async fn an_item_too_large_alone_comes_as_oversize_and_the_stream_goes_on() -> anyhow::Result<()> {
    const MAXIMUM: u32 = 2048;
    let server = server_with_waiting(1, 3500).await?;
    let mut alice = user(&server, "alice", "phone").await?;
    let small = text_to("bobby", "small", "small");
    alice.ok("$im/message/send", &small).await?;
    let options = server
        .user(Version::V5, "bobby", "phone")
        .property(0x27, MAXIMUM.to_be_bytes().to_vec());
    let mut bobby = server.connect(&options).await?;
    listen(&mut bobby).await?;
    let (packet, batch) = batch(&mut bobby).await?;
    assert!(packet_bytes(&packet) <= 2048);
    let conversation = format!("single:{}:alice", server.app);
    let stub = json!({"seq": 1, "kind": "oversize", "conversation": conversation, "msg_seq": 1});
    assert_eq!(batch.items[0], stub);
    bobby.puback(packet.id).await?;
    if batch.seq == 1 {
        take(&mut bobby, 2).await?;
    }
    server.discard().await
}
