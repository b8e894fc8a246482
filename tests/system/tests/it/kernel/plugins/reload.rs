//! New configurations for plugins that run.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use partyline_plugin::{Plugin, PluginContext, Registrar, Reload};
use partyline_testkit::{ReloadOutcome, TestBroker};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::demo::Demo;

struct Dial {
    values: Mutex<Vec<u32>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DialConfig {
    value: u32,
}

#[async_trait]
impl Plugin for Dial {
    const ID: &'static str = "dial";
    type Config = DialConfig;

    fn validate(config: &DialConfig) -> anyhow::Result<()> {
        anyhow::ensure!(config.value <= 11, "the dial goes to eleven");
        Ok(())
    }

    async fn build(_: PluginContext, config: DialConfig) -> anyhow::Result<Self> {
        let values = Mutex::new(vec![config.value]);
        Ok(Self { values })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides(Arc::clone(self));
    }

    async fn reload(&self, config: DialConfig) -> anyhow::Result<Reload> {
        match config.value {
            7 => return Ok(Reload::RestartNeeded),
            8 => anyhow::bail!("not eight"),
            9 => panic!("on purpose"),
            value => self.values.lock().push(value),
        }
        Ok(Reload::Applied)
    }
}

async fn broker() -> anyhow::Result<(TestBroker, Arc<Dial>)> {
    let broker = TestBroker::builder()
        .plugin::<Demo>(json!({}))
        .plugin::<Dial>(json!({"value": 1}))
        .start()
        .await?;
    let dial = broker.services().get::<Dial>()?;
    Ok((broker, dial))
}

#[tokio::test]
async fn who_has_a_new_table_takes_it_up() -> anyhow::Result<()> {
    let (broker, dial) = broker().await?;
    for (value, outcome) in [
        (1, ReloadOutcome::Unchanged),
        (2, ReloadOutcome::Applied),
        (2, ReloadOutcome::Unchanged),
        (7, ReloadOutcome::RestartNeeded),
        // It is told again for as long as it is so.
        (7, ReloadOutcome::RestartNeeded),
        (8, ReloadOutcome::Failed("not eight".to_owned())),
        (9, ReloadOutcome::Failed("it panicked".to_owned())),
        (2, ReloadOutcome::Unchanged),
        (3, ReloadOutcome::Applied),
    ] {
        let tables = json!({"demo": {}, "dial": {"value": value}});
        let outcomes = broker.reload(tables).await?;
        assert_eq!(
            outcomes,
            [("demo", ReloadOutcome::Unchanged), ("dial", outcome)],
            "{value}"
        );
    }
    assert_eq!(*dial.values.lock(), [1, 2, 3]);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn one_table_that_cannot_be_used_keeps_all_from_being_reloaded() -> anyhow::Result<()> {
    let (broker, dial) = broker().await?;
    for (tables, plugin, word) in [
        (
            json!({"demo": {"knob": 1}, "dial": {"value": 2}}),
            "demo",
            "knob",
        ),
        (
            json!({"demo": {}, "dial": {"value": "high"}}),
            "dial",
            "value",
        ),
        (json!({"demo": {}, "dial": {}}), "dial", "value"),
        (json!({"demo": {}, "dial": {"value": 12}}), "dial", "eleven"),
    ] {
        let error = broker.reload(tables).await.expect_err("it is refused");
        assert_eq!(error.plugin, plugin);
        let said = format!("{:#}", anyhow::Error::from(error));
        assert!(said.contains(plugin) && said.contains(word), "{said}");
    }
    assert_eq!(*dial.values.lock(), [1]);
    broker.stop().await;
    Ok(())
}

#[tokio::test]
async fn what_makes_no_sense_keeps_the_broker_from_starting() -> anyhow::Result<()> {
    let started = TestBroker::builder()
        .plugin::<Dial>(json!({"value": 12}))
        .start()
        .await;
    let said = format!("{:#}", started.expect_err("it is refused"));
    assert!(said.contains("dial") && said.contains("eleven"), "{said}");
    Ok(())
}
