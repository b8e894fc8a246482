//! What is broken, and who must notice.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::packet::{Connect, Packet};
use crate::proxy::{Sabotage, Tamper};

/// A way to break the standard.
pub(crate) struct Saboteur {
    /// What the broker does wrong.
    pub(crate) breaks: &'static str,
    /// Begins it.
    pub(crate) make: fn() -> Sabotage,
    /// The cases that must notice.
    pub(crate) cases: &'static [&'static str],
}

fn nothing() -> Tamper {
    Box::new(|packet| vec![packet])
}

/// Tampers with what the broker receives.
fn receives(tamper: impl Fn(Packet) -> Vec<Packet> + Send + Sync + 'static) -> Sabotage {
    Sabotage {
        from_client: Box::new(tamper),
        from_broker: nothing(),
        never_ends: false,
    }
}

/// Tampers with what the broker sends.
fn sends(tamper: impl Fn(Packet) -> Vec<Packet> + Send + Sync + 'static) -> Sabotage {
    Sabotage {
        from_client: nothing(),
        from_broker: Box::new(tamper),
        never_ends: false,
    }
}

/// Changes each PUBLISH that the broker sends.
fn sends_publish(change: fn(&mut Packet)) -> Sabotage {
    sends(move |mut packet| {
        if packet.is_publish() {
            change(&mut packet);
        }
        vec![packet]
    })
}

/// Drops what the broker sends of one type.
fn withholds(kind: u8) -> Sabotage {
    sends(move |packet| {
        if packet.kind() == kind {
            Vec::new()
        } else {
            vec![packet]
        }
    })
}

/// Changes each CONNECT that the broker receives.
fn receives_connect(change: impl Fn(&mut Connect) + Send + Sync + 'static) -> Sabotage {
    receives(move |packet| match Connect::of(&packet) {
        Some(mut connect) => {
            change(&mut connect);
            vec![connect.packet()]
        }
        None => vec![packet],
    })
}

/// Breaks nothing.
pub(crate) fn none() -> Saboteur {
    Saboteur {
        breaks: "nothing",
        make: || sends(|packet| vec![packet]),
        cases: &[],
    }
}

fn never_ends() -> Sabotage {
    Sabotage {
        from_client: nothing(),
        from_broker: nothing(),
        never_ends: true,
    }
}

/// Every client without a will gets the last one that its client id had.
fn remembers_wills() -> Sabotage {
    let wills = Mutex::new(HashMap::new());
    receives_connect(move |connect| {
        let id = connect.fields[0].clone();
        let mut wills = wills.lock();
        if let Some(will) = connect.take_will() {
            wills.insert(id.clone(), will);
        }
        if let Some((flags, fields)) = wills.get(&id) {
            connect.flags |= flags;
            connect.fields.splice(1..1, fields.clone());
        }
    })
}

/// Sends every second PUBLISH before the first.
fn swaps() -> Sabotage {
    let held = Mutex::new(None);
    sends(move |packet| {
        let mut held = held.lock();
        if packet.is_publish() && held.is_none() {
            *held = Some(packet);
            return Vec::new();
        }
        [Some(packet), held.take()].into_iter().flatten().collect()
    })
}

/// Holds every second PUBREL until the next.
fn swaps_pubrels() -> Sabotage {
    let held = Mutex::new(None);
    sends(move |packet| {
        if packet.kind() != 6 {
            return vec![packet];
        }
        let mut held = held.lock();
        if let Some(first) = held.take() {
            return vec![packet, first];
        }
        *held = Some(packet);
        Vec::new()
    })
}

pub(crate) fn all() -> Vec<Saboteur> {
    vec![
        Saboteur {
            breaks: "it ends no connection",
            make: never_ends,
            cases: &[
                "ill_formed_utf8_ends_the_connection",
                "a_null_character_ends_the_connection",
                "invalid_flags_end_the_connection",
                "packet_identifier_0_ends_the_connection",
                "nothing_is_done_before_connect",
                "a_second_connect_ends_the_connection",
                "another_protocol_is_not_let_in",
                "an_unsupported_level_is_refused_with_1",
                "the_reserved_connect_flag_must_be_0",
                "a_will_without_its_fields_is_malformed",
                "will_bits_without_the_will_flag_are_malformed",
                "will_fields_without_the_will_flag_are_malformed",
                "will_qos_3_is_malformed",
                "an_unflagged_user_name_is_malformed",
                "a_missing_user_name_is_malformed",
                "an_unflagged_password_is_malformed",
                "a_missing_password_is_malformed",
                "a_password_without_user_name_is_malformed",
                "silence_beyond_the_keep_alive_ends_the_connection",
                "a_connect_without_client_id_is_malformed",
                "an_empty_client_id_needs_a_clean_session",
                "a_malformed_connect_gets_no_connack",
                "a_new_connection_ends_the_old_one",
                "nothing_after_a_rejected_connect_is_done",
                "a_refusal_has_no_session_and_ends",
                "dup_at_qos_0_ends_the_connection",
                "qos_3_ends_the_connection",
                "a_publish_without_a_topic_is_malformed",
                "a_wildcard_in_a_topic_name_ends_the_connection",
                "pubrel_flags_are_0010",
                "subscribe_flags_are_0010",
                "a_subscribe_without_filters_ends_the_connection",
                "reserved_bits_of_the_qos_end_the_connection",
                "unsubscribe_flags_are_0010",
                "an_unsubscribe_without_filters_ends_the_connection",
                "a_disconnect_with_flags_is_none",
                "packets_of_a_server_end_the_connection",
                "unknown_packets_end_the_connection",
                "bytes_too_many_or_too_few_end_the_connection",
                "an_endless_length_ends_the_connection",
                "a_violation_ends_no_other_connection",
                "a_topic_has_at_least_one_character",
                "a_will_is_published_after_a_protocol_violation",
                "the_fields_of_the_payload_have_an_order",
            ],
        },
        Saboteur {
            breaks: "it takes packets with wrong flags for right ones",
            make: || {
                receives(|mut packet| {
                    if !packet.is_publish() {
                        let right = if matches!(packet.kind(), 6 | 8 | 10) {
                            2
                        } else {
                            0
                        };
                        packet.first = packet.first & 0xf0 | right;
                    }
                    vec![packet]
                })
            },
            cases: &[
                "invalid_flags_end_the_connection",
                "pubrel_flags_are_0010",
                "subscribe_flags_are_0010",
                "unsubscribe_flags_are_0010",
                "a_disconnect_with_flags_is_none",
            ],
        },
        Saboteur {
            breaks: "its packets have reserved flags",
            make: || {
                sends(|mut packet| {
                    if packet.kind() == 11 {
                        packet.first |= 2;
                    }
                    vec![packet]
                })
            },
            cases: &["packets_of_the_broker_have_their_flags"],
        },
        Saboteur {
            breaks: "it takes U+FEFF away",
            make: || {
                receives(|packet| {
                    if !packet.is_publish() {
                        return vec![packet];
                    }
                    let topic = String::from_utf8_lossy(packet.topic()).replace('\u{feff}', "");
                    vec![packet.with_topic(topic.as_bytes())]
                })
            },
            cases: &["a_byte_order_mark_is_a_character"],
        },
        Saboteur {
            breaks: "it takes topics in lower case, without spaces",
            make: || {
                receives(|packet| {
                    if !packet.is_publish() {
                        return vec![packet];
                    }
                    let topic = packet.topic().to_ascii_lowercase();
                    vec![packet.with_topic(topic.trim_ascii())]
                })
            },
            cases: &["topics_are_compared_as_they_are"],
        },
        Saboteur {
            breaks: "all its messages have packet identifier 1",
            make: || {
                sends_publish(|packet| {
                    if packet.qos() > 0 {
                        packet.id().unwrap().copy_from_slice(&[0, 1]);
                    }
                })
            },
            cases: &[
                "messages_in_flight_have_identifiers_of_their_own",
                "qos_1_is_held_until_its_puback",
                "qos_2_is_released_after_its_pubrec",
            ],
        },
        Saboteur {
            breaks: "messages sent again have another packet identifier",
            make: || {
                sends_publish(|packet| {
                    if packet.first & 8 != 0 {
                        packet.id().unwrap()[0] ^= 0x40;
                    }
                })
            },
            cases: &[
                "a_message_sent_again_keeps_its_identifier",
                "unsubscribing_leaves_messages_to_be_sent_again",
                "every_part_of_a_session_is_kept",
                "what_is_unacknowledged_is_sent_again",
            ],
        },
        Saboteur {
            breaks: "its QoS 0 messages have a packet identifier",
            make: || {
                sends_publish(|packet| {
                    if packet.qos() == 0 {
                        let at = 2 + packet.topic().len();
                        packet.body.splice(at..at, [0, 7]);
                    }
                })
            },
            cases: &["a_qos_0_message_has_no_identifier"],
        },
        Saboteur {
            breaks: "it acknowledges another packet identifier",
            make: || {
                sends(|mut packet| {
                    if matches!(packet.kind(), 4..=7 | 9 | 11) {
                        packet.id().unwrap()[0] ^= 0x40;
                    }
                    vec![packet]
                })
            },
            cases: &[
                "acknowledgements_name_their_message",
                "suback_and_unsuback_name_their_packet",
                "a_publish_is_answered_as_its_qos_has_it",
                "a_forbidden_publish_is_acknowledged_or_ends_the_connection",
                "a_subscribe_is_answered_by_its_suback",
                "an_unsubscribe_is_always_answered",
                "after_puback_an_identifier_is_new",
                "after_pubcomp_an_identifier_is_new",
                "every_pubrel_is_answered",
            ],
        },
        Saboteur {
            breaks: "it keeps no session",
            make: || receives_connect(|connect| connect.flags |= 2),
            cases: &[
                "a_session_is_resumed_with_its_subscriptions",
                "an_absent_client_gets_its_messages_later",
                "sessions_go_by_client_id",
                "a_takeover_heeds_clean_session",
                "session_present_tells_whether_it_is_resumed",
                "a_message_sent_again_has_dup",
                "a_message_sent_again_keeps_its_identifier",
                "every_part_of_a_session_is_kept",
                "what_is_unacknowledged_is_sent_again",
                "unsubscribing_leaves_messages_to_be_sent_again",
                "qos_1_is_held_until_its_puback",
                "after_pubrel_the_publish_is_not_sent_again",
                "a_message_goes_to_every_session_that_matches",
                "messages_are_sent_again_in_their_order",
                "messages_that_waited_come_in_their_order",
            ],
        },
        Saboteur {
            breaks: "it keeps every session and does not tell",
            make: || Sabotage {
                from_client: receives_connect(|connect| connect.flags &= !2).from_client,
                from_broker: Box::new(|mut packet| {
                    if packet.kind() == 2 {
                        packet.body[0] = 0;
                    }
                    vec![packet]
                }),
                never_ends: false,
            },
            cases: &[
                "a_clean_session_discards_the_earlier_one",
                "nothing_is_kept_of_a_clean_session",
                "a_takeover_heeds_clean_session",
            ],
        },
        Saboteur {
            breaks: "its Session Present is the wrong way round",
            make: || {
                sends(|mut packet| {
                    if packet.kind() == 2 {
                        packet.body[0] ^= 1;
                    }
                    vec![packet]
                })
            },
            cases: &[
                "session_present_tells_whether_it_is_resumed",
                "an_accepted_connect_is_answered_with_0",
                "a_refusal_has_no_session_and_ends",
                "an_empty_client_id_needs_a_clean_session",
            ],
        },
        Saboteur {
            breaks: "it tells everybody that they are not authorized",
            make: || {
                sends(|mut packet| {
                    if packet.kind() == 2 {
                        packet.body[1] = 5;
                    }
                    vec![packet]
                })
            },
            cases: &[
                "an_accepted_connect_is_answered_with_0",
                "an_unsupported_level_is_refused_with_1",
                "letters_and_digits_make_a_client_id",
                "credentials_are_read_as_flagged",
                "a_rejected_client_id_is_answered_with_2",
            ],
        },
        Saboteur {
            breaks: "all clients have one client id",
            make: || receives_connect(|connect| connect.fields[0] = b"everybody".to_vec()),
            cases: &[
                "an_empty_client_id_becomes_one_of_its_own",
                "sessions_go_by_client_id",
                "a_session_lasts_as_long_as_its_connection",
            ],
        },
        Saboteur {
            breaks: "it forgets wills",
            make: || {
                receives_connect(|connect| {
                    connect.take_will();
                })
            },
            cases: &[
                "a_will_is_published_when_the_socket_is_lost",
                "a_will_is_published_after_a_protocol_violation",
                "a_will_is_published_at_a_takeover",
                "a_will_without_retain_is_not_kept",
                "a_will_with_retain_is_kept",
                "silence_beyond_the_keep_alive_ends_the_connection",
                "the_fields_of_the_payload_have_an_order",
            ],
        },
        Saboteur {
            breaks: "it never forgets a will",
            make: remembers_wills,
            cases: &[
                "a_will_is_published_once",
                "without_a_will_nothing_is_published",
            ],
        },
        Saboteur {
            breaks: "it publishes wills after a DISCONNECT",
            make: || {
                receives(|packet| match packet.kind() {
                    // It ends the connection all the same.
                    14 => vec![Packet::new(0, &[])],
                    _ => vec![packet],
                })
            },
            cases: &["a_disconnect_takes_the_will_away"],
        },
        Saboteur {
            breaks: "it does not retain wills",
            make: || receives_connect(|connect| connect.flags &= !0x20),
            cases: &["a_will_with_retain_is_kept"],
        },
        Saboteur {
            breaks: "it retains every will",
            make: || receives_connect(|connect| connect.flags |= (connect.flags & 4) << 3),
            cases: &["a_will_without_retain_is_not_kept"],
        },
        Saboteur {
            breaks: "it sends before its CONNACK",
            make: || {
                sends(|packet| {
                    if packet.kind() == 2 {
                        return vec![Packet::new(0xd0, &[]), packet];
                    }
                    vec![packet]
                })
            },
            cases: &["connack_comes_before_all_else"],
        },
        Saboteur {
            breaks: "it never sets DUP",
            make: || sends_publish(|packet| packet.first &= !8),
            cases: &[
                "a_message_sent_again_has_dup",
                "what_is_unacknowledged_is_sent_again",
            ],
        },
        Saboteur {
            breaks: "it sets DUP on every message",
            make: || sends_publish(|packet| packet.first |= 8),
            cases: &[
                "dup_is_not_passed_on",
                "a_qos_0_message_has_no_dup",
                "qos_0_is_sent_once_without_dup",
                "qos_1_is_held_until_its_puback",
                "qos_2_is_released_after_its_pubrec",
                "an_absent_client_gets_its_messages_later",
            ],
        },
        Saboteur {
            breaks: "it retains nothing",
            make: || {
                receives(|mut packet| {
                    if packet.is_publish() {
                        packet.first &= !1;
                    }
                    vec![packet]
                })
            },
            cases: &[
                "retained_messages_outlive_the_session",
                "a_retained_message_is_kept_with_its_qos",
                "a_new_subscription_gets_the_last_of_each_topic",
                "a_repeated_filter_replaces_the_subscription",
                "several_filters_are_as_several_packets",
            ],
        },
        Saboteur {
            breaks: "it retains every message",
            make: || {
                receives(|mut packet| {
                    if packet.is_publish() {
                        packet.first |= 1;
                    }
                    vec![packet]
                })
            },
            cases: &["without_retain_nothing_is_kept_or_replaced"],
        },
        Saboteur {
            breaks: "it does not replace what is retained by a QoS 0 message, or remove it",
            make: || {
                receives(|mut packet| {
                    let empty = packet.body.len() == 4 + packet.topic().len();
                    if packet.is_publish() && (packet.qos() == 0 || empty) {
                        packet.first &= !1;
                    }
                    vec![packet]
                })
            },
            cases: &[
                "qos_0_replaces_what_was_retained",
                "an_empty_message_removes_what_was_retained",
            ],
        },
        Saboteur {
            breaks: "it never sets RETAIN",
            make: || sends_publish(|packet| packet.first &= !1),
            cases: &[
                "a_retained_message_is_kept_with_its_qos",
                "a_new_subscription_gets_the_last_of_each_topic",
            ],
        },
        Saboteur {
            breaks: "it sets RETAIN on every message",
            make: || sends_publish(|packet| packet.first |= 1),
            cases: &[
                "retain_is_not_passed_on",
                "a_will_without_retain_is_not_kept",
            ],
        },
        Saboteur {
            breaks: "it sends every message twice",
            make: || {
                sends(|packet| {
                    if packet.is_publish() && !packet.topic().starts_with(b"marker") {
                        return vec![packet.clone(), packet];
                    }
                    vec![packet]
                })
            },
            cases: &[
                "a_repeated_filter_replaces_the_subscription",
                "a_repeated_qos_2_message_is_delivered_once",
                "a_message_comes_under_a_topic_that_matches",
                "messages_come_in_the_order_of_their_publisher",
                "a_repeated_filter_interrupts_nothing",
            ],
        },
        Saboteur {
            breaks: "it delivers nothing",
            make: || withholds(3),
            cases: &[
                "a_message_comes_under_a_topic_that_matches",
                "a_message_goes_to_every_session_that_matches",
                "a_wildcard_is_served_or_rejected",
                "a_multi_level_wildcard_matches_all_below",
                "a_single_level_wildcard_may_be_at_any_level",
                "the_standard_alone_is_enough",
                "packets_may_come_in_pieces_of_any_size",
                "a_session_lasts_as_long_as_its_connection",
                "unsubscribing_leaves_messages_under_way",
                "only_the_equal_filter_is_unsubscribed",
                "several_filters_are_unsubscribed_at_once",
                "a_violation_ends_no_other_connection",
            ],
        },
        Saboteur {
            breaks: "it delivers with QoS 0 what was granted more",
            make: || {
                sends_publish(|packet| {
                    if packet.qos() > 0 {
                        let at = 2 + packet.topic().len();
                        packet.body.drain(at..at + 2);
                        packet.first &= !6;
                    }
                })
            },
            cases: &[
                "a_message_comes_with_the_lower_qos",
                "overlapping_subscriptions_give_the_highest_qos",
            ],
        },
        Saboteur {
            breaks: "its messages change their order",
            make: swaps,
            cases: &[
                "messages_are_sent_again_in_their_order",
                "messages_come_in_the_order_of_their_publisher",
                "messages_that_waited_come_in_their_order",
            ],
        },
        Saboteur {
            breaks: "its PUBRELs change their order",
            make: swaps_pubrels,
            cases: &["pubrels_come_in_the_order_of_the_pubrecs"],
        },
        Saboteur {
            breaks: "it sends no PUBREL",
            make: || withholds(6),
            cases: &[
                "after_pubrel_the_publish_is_not_sent_again",
                "unsubscribing_leaves_messages_under_way",
                "what_is_unacknowledged_is_sent_again",
            ],
        },
        Saboteur {
            breaks: "it does not hear acknowledgements",
            make: || {
                receives(|packet| match packet.kind() {
                    4 | 7 => Vec::new(),
                    _ => vec![packet],
                })
            },
            cases: &["what_is_acknowledged_is_not_sent_again"],
        },
        Saboteur {
            breaks: "it answers no PINGREQ",
            make: || withholds(13),
            cases: &["a_pingreq_is_answered"],
        },
        Saboteur {
            breaks: "its SUBACK has codes in another order",
            make: || {
                sends(|mut packet| {
                    if packet.kind() == 9 {
                        packet.body[2..].reverse();
                    }
                    vec![packet]
                })
            },
            cases: &["codes_are_in_the_order_of_the_filters"],
        },
        Saboteur {
            breaks: "its SUBACK has one code for all filters",
            make: || {
                sends(|mut packet| {
                    if packet.kind() == 9 {
                        packet.body.truncate(3);
                    }
                    vec![packet]
                })
            },
            cases: &[
                "suback_has_a_code_for_each_filter",
                "several_filters_are_as_several_packets",
            ],
        },
        Saboteur {
            breaks: "its SUBACK has reserved codes",
            make: || {
                sends(|mut packet| {
                    if packet.kind() == 9 && packet.body[2] == 0x80 {
                        packet.body[2] = 0x87;
                    }
                    vec![packet]
                })
            },
            cases: &["reserved_codes_are_not_used"],
        },
        Saboteur {
            breaks: "it grants every filter",
            make: || {
                sends(|mut packet| {
                    if packet.kind() == 9 && packet.body[2] == 0x80 {
                        packet.body[2] = 0;
                    }
                    vec![packet]
                })
            },
            cases: &[
                "a_multi_level_wildcard_must_be_last",
                "a_single_level_wildcard_takes_a_level",
            ],
        },
        Saboteur {
            breaks: "a leading wildcard matches $SYS",
            make: || {
                sends(|packet| {
                    if packet.kind() == 9 {
                        let publish = Packet::new(0x30, b"\0\x0b$SYS/uptime1");
                        return vec![packet, publish];
                    }
                    vec![packet]
                })
            },
            cases: &["leading_wildcards_do_not_match_dollar_topics"],
        },
        Saboteur {
            breaks: "it ignores every UNSUBSCRIBE, but answers",
            make: || {
                receives(|mut packet| {
                    if packet.kind() == 10 {
                        packet.body.truncate(2);
                        packet.body.extend_from_slice(b"\0\x07nothing");
                    }
                    vec![packet]
                })
            },
            cases: &[
                "only_the_equal_filter_is_unsubscribed",
                "several_filters_are_unsubscribed_at_once",
                "a_repeated_filter_replaces_the_subscription",
            ],
        },
    ]
}
