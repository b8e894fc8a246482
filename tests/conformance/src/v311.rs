//! MQTT 3.1.1.

mod clean_session;
mod connack;
mod connect;
mod connect_payload;
mod connect_response;
mod credentials;
mod errors;
mod fixed_header;
mod keep_alive;
mod order;
mod packet_identifier;
mod ping_and_disconnect;
mod publish;
mod publish_flags;
mod pubrel;
mod qos;
mod receipt;
mod retain;
mod session_state;
mod strings;
mod suback;
mod subscribe;
mod targets;
mod topics;
mod unsubscribe;
mod websocket;
mod will;
mod wire;

use crate::Chapter;

pub(crate) const CHAPTERS: &[Chapter] = &[
    strings::CHAPTER,
    fixed_header::CHAPTER,
    packet_identifier::CHAPTER,
    connect::CHAPTER,
    clean_session::CHAPTER,
    will::CHAPTER,
    credentials::CHAPTER,
    keep_alive::CHAPTER,
    connect_payload::CHAPTER,
    connect_response::CHAPTER,
    connack::CHAPTER,
    publish_flags::CHAPTER,
    retain::CHAPTER,
    publish::CHAPTER,
    pubrel::CHAPTER,
    subscribe::CHAPTER,
    suback::CHAPTER,
    unsubscribe::CHAPTER,
    ping_and_disconnect::CHAPTER,
    session_state::STATE,
    qos::CHAPTER,
    session_state::RETRY,
    receipt::CHAPTER,
    order::CHAPTER,
    topics::CHAPTER,
    errors::CHAPTER,
    websocket::CHAPTER,
    targets::CHAPTER,
];
