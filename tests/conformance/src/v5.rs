//! MQTT 5.0.

mod acknowledgements;
mod auth;
mod bare;
mod clean_start;
mod clock;
mod connack;
mod connack_properties;
mod connect;
mod connect_payload;
mod connect_properties;
mod connect_response;
mod credentials;
mod data;
mod delivery;
mod ending;
mod enhanced_auth;
mod errors;
mod flow_control;
mod packet_format;
mod ping_and_disconnect;
mod publish_flags;
mod publish_properties;
mod publish_topic;
mod qos;
mod qos_2;
mod receipt;
mod retain;
mod session_state;
mod shared;
mod subscribe;
mod subscribe_actions;
mod topic_alias;
mod topics;
mod unsubscribe;
mod websocket;
mod will;
mod wire;

use crate::Chapter;

pub(crate) const CHAPTERS: &[Chapter] = &[
    data::CHAPTER,
    packet_format::CHAPTER,
    connect::CHAPTER,
    clean_start::CHAPTER,
    will::CHAPTER,
    credentials::CHAPTER,
    connect_properties::CHAPTER,
    connect_payload::CHAPTER,
    connect_response::CHAPTER,
    connack::CHAPTER,
    connack_properties::CHAPTER,
    publish_flags::CHAPTER,
    retain::CHAPTER,
    publish_topic::CHAPTER,
    topic_alias::CHAPTER,
    publish_properties::CHAPTER,
    receipt::CHAPTER,
    acknowledgements::CHAPTER,
    subscribe::CHAPTER,
    subscribe_actions::CHAPTER,
    unsubscribe::CHAPTER,
    ping_and_disconnect::CHAPTER,
    auth::CHAPTER,
    session_state::CHAPTER,
    qos::CHAPTER,
    qos_2::CHAPTER,
    delivery::CHAPTER,
    topics::CHAPTER,
    shared::CHAPTER,
    flow_control::CHAPTER,
    enhanced_auth::CHAPTER,
    errors::CHAPTER,
    websocket::CHAPTER,
];

#[cfg(test)]
mod tests {
    use crate::Standard;

    /// How many statements the standard's appendix B has of each chapter.
    #[test]
    fn all_statements_of_the_appendix_are_here() {
        for (chapter, count) in [("1", 5), ("2", 7), ("3", 175), ("4", 60), ("6", 4)] {
            let begin = format!("MQTT-{chapter}.");
            let statements = Standard::V5.statements();
            let listed = statements.filter(|one| one.id.starts_with(&begin)).count();
            assert_eq!(listed, count, "chapter {chapter}");
        }
    }
}
