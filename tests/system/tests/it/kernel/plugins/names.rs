//! What a plugin may be called.

use std::sync::Arc;

use async_trait::async_trait;
use partyline_plugin::{Plugin, PluginContext, Registrar};
use partyline_testkit::TestBroker;
use serde_json::json;

use super::demo::Config;

/// Its migrations table would be that of a plugin `a-b`.
struct Twin;

#[async_trait]
impl Plugin for Twin {
    const ID: &'static str = "a_b";
    type Config = Config;

    async fn build(_: PluginContext, _: Config) -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn register(self: &Arc<Self>, _: &mut Registrar) {}
}

#[tokio::test]
async fn an_id_that_could_be_taken_for_another_keeps_the_broker_from_starting() {
    let started = TestBroker::builder().plugin::<Twin>(json!({})).start();
    let error = format!("{:#}", started.await.unwrap_err());
    assert!(error.contains("a_b"), "{error}");
}
