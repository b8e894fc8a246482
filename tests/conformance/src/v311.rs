//! MQTT 3.1.1.

mod clean_session;
mod connect;
mod fixed_header;
mod packet_identifier;
mod strings;
mod targets;
mod wire;

use crate::Chapter;

pub(crate) const CHAPTERS: &[Chapter] = &[
    strings::CHAPTER,
    fixed_header::CHAPTER,
    packet_identifier::CHAPTER,
    connect::CHAPTER,
    clean_session::CHAPTER,
    targets::CHAPTER,
];
