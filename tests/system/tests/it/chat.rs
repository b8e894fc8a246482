//! Two people chat, with clients that we did not write.

#![expect(
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

pub(crate) mod batch;
pub(crate) mod client;
mod event;
mod journey;
pub(crate) mod library;
mod mosquitto;
mod rumqttc_v4;
mod rumqttc_v5;
mod script;
pub(crate) mod stage;
mod tls;

use partyline_testkit::{Backend, Version};

use journey::{two_people_chat, two_people_chat_on};
use library::Library;

#[tokio::test]
async fn with_rumqttc_v4() -> anyhow::Result<()> {
    two_people_chat(&Library::RumqttcV4).await
}

#[tokio::test]
async fn with_rumqttc_v5() -> anyhow::Result<()> {
    two_people_chat(&Library::RumqttcV5).await
}

#[tokio::test]
async fn with_paho_of_python_on_mqtt_3_1_1() -> anyhow::Result<()> {
    two_people_chat(&Library::Paho(Version::V311)).await
}

#[tokio::test]
async fn with_paho_of_python_on_mqtt_5() -> anyhow::Result<()> {
    two_people_chat(&Library::Paho(Version::V5)).await
}

#[tokio::test]
async fn with_mqtt_js_over_websocket_on_mqtt_3_1_1() -> anyhow::Result<()> {
    two_people_chat(&Library::MqttJs(Version::V311)).await
}

#[tokio::test]
async fn with_mqtt_js_over_websocket_on_mqtt_5() -> anyhow::Result<()> {
    two_people_chat(&Library::MqttJs(Version::V5)).await
}

#[tokio::test]
async fn with_rumqttc_v5_on_postgres() -> anyhow::Result<()> {
    two_people_chat_on(Backend::Postgres, &Library::RumqttcV5).await
}

#[tokio::test]
async fn with_paho_of_python_on_postgres() -> anyhow::Result<()> {
    two_people_chat_on(Backend::Postgres, &Library::Paho(Version::V311)).await
}
