use bytes::{Buf, Bytes};
use partyline_plugin::protocol::{TopicFilter, TopicLimits, TopicName};
use partyline_plugin::{Clock, Message, Origin, Tracked};
use proptest::prelude::*;

use super::*;
use crate::packet::SubscribeOptions;
use crate::store::Journal;

const FILL: Fill = Fill {
    version: ProtocolVersion::V311,
    window: 3,
    window_bytes: 1 << 20,
    max_packet: None,
    high_water: 1 << 20,
};

fn publication(payload: &'static str, qos: Qos) -> Arc<Publication> {
    let topic = TopicName::parse("t", &TopicLimits::default()).unwrap();
    let mut message = Message::new(topic, payload, Origin::Client);
    message.qos = qos;
    Arc::new(Publication::new(message))
}

fn outbound_with(messages: &[(&'static str, Qos)]) -> Outbound {
    let mut outbound = Outbound::new(0);
    for (payload, qos) in messages {
        let queued = outbound.route(
            &LimitsConfig::default(),
            &publication(payload, *qos),
            *qos,
            false,
            None,
        );
        assert_eq!(queued, (Enqueued::Waiting, None));
    }
    outbound
}

/// `(first byte, packet id, payload)` of each PUBLISH, `(first byte, id, "")` of the rest.
fn packets(mut output: BytesMut) -> Vec<(u8, u16, String)> {
    let mut packets = Vec::new();
    while output.has_remaining() {
        let first = output.get_u8();
        let length = usize::from(output.get_u8());
        let mut body = output.split_to(length);
        let mut id = 0;
        if first >> 4 == 3 {
            let topic = usize::from(body.get_u16());
            body.advance(topic);
        }
        if first >> 4 != 3 || first & 0b110 != 0 {
            id = body.get_u16();
        }
        packets.push((first, id, String::from_utf8(body.to_vec()).unwrap()));
    }
    packets
}

fn filled(outbound: &mut Outbound) -> Vec<(u8, u16, String)> {
    let mut output = BytesMut::new();
    outbound.fill(
        FILL,
        &mut Aliases::default(),
        &mut output,
        &mut Counted::default(),
    );
    packets(output)
}

#[test]
fn sends_no_more_than_the_window_and_goes_on_after_an_ack() {
    let one = Qos::AtLeastOnce;
    let mut outbound = outbound_with(&[("a", one), ("b", one), ("c", one), ("d", one)]);
    let ids: Vec<u16> = filled(&mut outbound)
        .iter()
        .map(|packet| packet.1)
        .collect();
    assert_eq!(ids, [1, 2, 3]);
    outbound.on_puback(2, Reason::Success);
    assert_eq!(filled(&mut outbound), [(0x32, 4, "d".to_owned())]);
}

#[test]
fn resends_in_order_with_dup_and_pubrel_for_what_was_received() {
    let mut outbound = outbound_with(&[("a", Qos::AtLeastOnce), ("b", Qos::ExactlyOnce)]);
    filled(&mut outbound);
    assert_eq!(outbound.on_pubrec(2, Reason::Success), Some(Rel::Now));
    outbound.detach();
    let sent = filled(&mut outbound);
    assert_eq!(sent, [(0x3a, 1, "a".to_owned()), (0x62, 2, String::new())]);
    outbound.on_pubcomp(2);
    outbound.on_puback(1, Reason::Success);
    assert!(outbound.outstanding().is_empty());
}

#[test]
fn sending_again_keeps_to_the_window_and_goes_before_what_is_new() {
    let one = Qos::AtLeastOnce;
    let mut outbound = outbound_with(&[("a", one), ("b", one), ("c", one), ("d", one)]);
    filled(&mut outbound);
    outbound.detach();
    let narrow = |outbound: &mut Outbound| {
        let mut output = BytesMut::new();
        let fill = Fill { window: 1, ..FILL };
        outbound.fill(
            fill,
            &mut Aliases::default(),
            &mut output,
            &mut Counted::default(),
        );
        packets(output)
    };
    for (id, payload) in [(1, "a"), (2, "b"), (3, "c")] {
        assert_eq!(narrow(&mut outbound), [(0x3a, id, payload.to_owned())]);
        outbound.on_puback(id, Reason::Success);
    }
    assert_eq!(narrow(&mut outbound), [(0x32, 4, "d".to_owned())]);
}

#[test]
fn a_late_puback_of_an_old_connection_acknowledges_nothing_new() {
    let mut outbound = Outbound::new(0);
    let frame = || encode(b"x", true);
    let limits = LimitsConfig::default();
    let (sender, _old) = Tracked::new();
    let queued = outbound.deliver(&limits, frame(), None, Guarantee::Tracked(sender));
    assert_eq!(queued, Enqueued::Waiting);
    assert_eq!(filled(&mut outbound)[0].1, 1);
    outbound.detach();
    let (sender, mut new) = Tracked::new();
    let queued = outbound.deliver(&limits, frame(), None, Guarantee::Tracked(sender));
    assert_eq!(queued, Enqueued::Waiting);
    assert_eq!(filled(&mut outbound)[0].1, 2);
    outbound.on_puback(1, Reason::Success);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(&mut new).poll(&mut cx).is_pending());
    outbound.on_puback(2, Reason::Success);
    let ended = std::pin::Pin::new(&mut new).poll(&mut cx);
    assert_eq!(ended, std::task::Poll::Ready(TrackedOutcome::Acked));
}

fn queue(outbound: &mut Outbound, limits: &LimitsConfig, message: &Arc<Publication>) -> Enqueued {
    outbound
        .route(limits, message, message.message.qos, false, None)
        .0
}

fn payloads(outbound: &mut Outbound) -> Vec<String> {
    filled(outbound)
        .into_iter()
        .map(|packet| packet.2)
        .collect()
}

fn two_messages() -> LimitsConfig {
    LimitsConfig {
        queued_messages: 2,
        ..LimitsConfig::default()
    }
}

#[test]
fn a_full_queue_drops_the_newest_and_counts_it() {
    let limits = two_messages();
    let mut outbound = Outbound::new(0);
    let message = publication("x", Qos::AtLeastOnce);
    assert_eq!(queue(&mut outbound, &limits, &message), Enqueued::Waiting);
    assert_eq!(queue(&mut outbound, &limits, &message), Enqueued::Waiting);
    assert_eq!(queue(&mut outbound, &limits, &message), Enqueued::Full);
    let newest = publication("newest", Qos::AtMostOnce);
    assert_eq!(queue(&mut outbound, &limits, &newest), Enqueued::Full);
    assert_eq!((outbound.dropped(), filled(&mut outbound).len()), (2, 2));
}

#[test]
fn a_full_queue_drops_the_oldest_of_qos_0_first() {
    let limits = two_messages();
    let mut outbound = Outbound::new(0);
    for (payload, qos) in [
        ("a", Qos::AtMostOnce),
        ("b", Qos::AtMostOnce),
        ("c", Qos::AtLeastOnce),
        ("d", Qos::AtMostOnce),
        ("e", Qos::ExactlyOnce),
    ] {
        let queued = queue(&mut outbound, &limits, &publication(payload, qos));
        assert_eq!(queued, Enqueued::Waiting, "{payload}");
    }
    assert_eq!(outbound.dropped(), 3);
    assert_eq!(payloads(&mut outbound), ["c", "e"]);
}

/// What is dropped must make the room that is needed.
#[test]
fn nothing_is_dropped_for_a_message_that_does_not_fit_all_the_same() {
    let small = publication("x", Qos::AtLeastOnce);
    let limits = LimitsConfig {
        queued_bytes: 3 * small.weight(),
        ..LimitsConfig::default()
    };
    let mut outbound = Outbound::new(0);
    let large = "x".repeat(2 * small.weight()).leak();
    for (message, expected) in [
        (&small, Enqueued::Waiting),
        (&publication("y", Qos::AtMostOnce), Enqueued::Waiting),
        (&publication(large, Qos::AtLeastOnce), Enqueued::Full),
    ] {
        assert_eq!(queue(&mut outbound, &limits, message), expected);
    }
    assert_eq!(payloads(&mut outbound), ["x", "y"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_expired_makes_room_uncounted() {
    let limits = two_messages();
    let mut outbound = Outbound::new(0);
    let mut brief = publication("brief", Qos::AtLeastOnce).message.clone();
    brief.properties = Some(Box::default());
    brief.properties.as_mut().unwrap().expiry_secs = Some(5);
    let brief = Arc::new(Publication::new(brief));
    let lasting = publication("lasting", Qos::AtLeastOnce);
    assert_eq!(queue(&mut outbound, &limits, &brief), Enqueued::Waiting);
    assert_eq!(queue(&mut outbound, &limits, &lasting), Enqueued::Waiting);
    tokio::time::advance(std::time::Duration::from_secs(4)).await;
    assert_eq!(queue(&mut outbound, &limits, &lasting), Enqueued::Full);
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(queue(&mut outbound, &limits, &lasting), Enqueued::Waiting);
    assert_eq!(outbound.dropped(), 1);
    assert_eq!(payloads(&mut outbound), ["lasting", "lasting"]);
}

/// What the client has not acknowledged is bounded by bytes too, though one message always goes.
#[test]
fn unacknowledged_bytes_close_the_window() {
    let mut outbound = outbound_with(&[
        ("a", Qos::AtLeastOnce),
        ("b", Qos::ExactlyOnce),
        ("c", Qos::AtLeastOnce),
    ]);
    let fill = Fill {
        window_bytes: 1,
        ..FILL
    };
    let next = |outbound: &mut Outbound| {
        let mut output = BytesMut::new();
        outbound.fill(
            fill,
            &mut Aliases::default(),
            &mut output,
            &mut Counted::default(),
        );
        packets(output)
    };
    assert_eq!(next(&mut outbound), [(0x32, 1, "a".to_owned())]);
    outbound.on_puback(1, Reason::Success);
    assert_eq!(next(&mut outbound), [(0x34, 2, "b".to_owned())]);
    assert!(next(&mut outbound).is_empty());
    // With PUBREC the message itself is done with.
    assert_eq!(outbound.on_pubrec(2, Reason::Success), Some(Rel::Now));
    assert_eq!(next(&mut outbound), [(0x32, 3, "c".to_owned())]);
}

#[test]
fn deliveries_of_plugins_go_before_routed_messages() {
    let mut outbound = outbound_with(&[("plain", Qos::AtMostOnce)]);
    let limits = LimitsConfig::default();
    let queued = outbound.deliver(
        &limits,
        encode(b"reply", false),
        None,
        Guarantee::AtMostOnce,
    );
    assert_eq!(queued, Enqueued::Waiting);
    let payloads: Vec<String> = filled(&mut outbound).into_iter().map(|p| p.2).collect();
    assert_eq!(payloads, ["reply", "plain"]);
}

#[test]
fn a_change_of_user_voids_what_is_no_longer_granted() {
    let mut outbound = outbound_with(&[("a", Qos::AtLeastOnce), ("b", Qos::AtLeastOnce)]);
    let mut output = BytesMut::new();
    let fill = Fill { window: 1, ..FILL };
    outbound.fill(
        fill,
        &mut Aliases::default(),
        &mut output,
        &mut Counted::default(),
    );
    outbound.drop_deliveries();
    outbound.keep_granted(|_| false);
    assert!(filled(&mut outbound).is_empty(), "what was queued is gone");
    assert_eq!(
        outbound.outstanding(),
        [1],
        "its packet id is not given out again yet"
    );
    outbound.on_puback(1, Reason::Success);
    assert!(outbound.outstanding().is_empty());
}

/// A QoS 2 message that waits for its packet id to be on disk was not sent: another of the group may
/// have it ([MQTT-4.8.2-5]).
#[tokio::test]
async fn a_shared_message_that_waits_for_the_disk_is_for_others() {
    let share = TopicFilter::parse("$share/g/t", &TopicLimits::MQTT).unwrap();
    let options = SubscribeOptions::from_byte(2).unwrap();
    let route = |outbound: &mut Outbound| {
        let matched = Matched::of(&share, options);
        let (limits, message) = (LimitsConfig::default(), publication("a", Qos::ExactlyOnce));
        let (queued, _) = outbound.route(&limits, &message, Qos::ExactlyOnce, false, matched);
        assert_eq!(queued, Enqueued::Waiting);
    };
    let mut stored = Outbound::new(0);
    let journal = Arc::new(Journal::new(Clock::default()));
    let rows = SessionRows::new(&journal);
    stored.keep_in(rows);
    let mut sent = Outbound::new(0);
    for (outbound, packets) in [(&mut stored, 0), (&mut sent, 1)] {
        route(outbound);
        assert_eq!(filled(outbound).len(), packets);
        assert_eq!(outbound.outstanding(), [1]);
        outbound.detach();
        assert_eq!(outbound.take_shared(|_| true).len(), 1 - packets);
    }
    // Its id is free, too: nobody was told of it.
    filled(&mut stored);
    assert!(stored.outstanding().is_empty());
}

fn encode(payload: &'static [u8], with_id: bool) -> Frame {
    let payload = Bytes::from_static(payload);
    crate::codec::encode_publish(false, "t", payload, with_id, None, None).unwrap()
}

proptest! {
    /// Whatever is acknowledged and wherever the connection breaks: every message arrives, none
    /// is new twice, and at one QoS they begin in the order in which they were queued.
    #[test]
    fn qos_1_and_2_survive_random_disconnects(
        count in 1_usize..40,
        exactly in any::<bool>(),
        steps in prop::collection::vec(0_u8..10, 0..200),
    ) {
        let qos = if exactly { Qos::ExactlyOnce } else { Qos::AtLeastOnce };
        let names: Vec<&'static str> =
            (0..count).map(|n| &*Box::leak(n.to_string().into_boxed_str())).collect();
        let mut outbound =
            outbound_with(&names.iter().map(|name| (*name, qos)).collect::<Vec<_>>());
        let mut firsts: Vec<String> = Vec::new();
        let mut wire: VecDeque<(u8, u16, String)> = VecDeque::new();
        let mut steps = steps.into_iter().chain(std::iter::repeat(1));
        for _ in 0..10_000 {
            wire.extend(filled(&mut outbound));
            let Some(step) = steps.next() else { break };
            if step == 0 {
                wire.clear();
                outbound.detach();
                continue;
            }
            let Some((first, id, payload)) = wire.pop_front() else { break };
            if first >> 4 == 6 {
                outbound.on_pubcomp(id);
                continue;
            }
            prop_assert!(first & 0b1000 != 0 || !firsts.contains(&payload), "new twice");
            if !firsts.contains(&payload) {
                firsts.push(payload);
            }
            if !exactly {
                outbound.on_puback(id, Reason::Success);
            } else if outbound.on_pubrec(id, Reason::Success) == Some(Rel::Now) {
                wire.push_back((0x62, id, String::new()));
            }
        }
        prop_assert_eq!(firsts, names);
        prop_assert!(outbound.outstanding().is_empty());
    }
}
