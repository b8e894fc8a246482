//! The conformance suite finds what is wrong with a plugin.

use std::sync::Arc;

use partyline_plugin::database::Migrations;
use partyline_plugin::protocol::RequestError;
use partyline_plugin::{
    BrokerHandle, CommandCx, DeliverFilter, DeliverVerdict, FilterOptions, Health, HookResult,
    Message, OnFault, Phase, Plugin, PluginContext, PublishFilter, Recipient, Registrar, Scope,
    SessionInfo, Tasks, Verdict, async_trait,
};
use partyline_testkit::Conformance;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// A plugin with the fault that its configuration names.
struct Sloppy {
    fault: String,
    tasks: Tasks,
    broker: BrokerHandle,
}

#[derive(Serialize, Deserialize)]
struct Lax {
    fault: String,
    /// Any key at all.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[async_trait]
impl Plugin for Sloppy {
    const ID: &'static str = "sloppy";
    type Config = Lax;

    fn migrations() -> Option<Migrations> {
        let steps = &[("tables", "CREATE TABLE someones_table (x INTEGER)")];
        Some(Migrations {
            sqlite: steps,
            postgres: steps,
        })
    }

    async fn build(cx: PluginContext, config: Lax) -> anyhow::Result<Self> {
        if config.fault == "second start" {
            let left = cx.data_dir.join("left-behind");
            anyhow::ensure!(!left.exists(), "there is something already");
            std::fs::write(left, "")?;
        }
        Ok(Self {
            fault: config.fault,
            tasks: cx.tasks,
            broker: cx.broker,
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        match self.fault.as_str() {
            "namespace" => {
                registrar.owns("$x/others/");
            }
            "stop" => {
                self.tasks.spawn(std::future::pending());
            }
            "panic" => {
                registrar.publish_filter(
                    Phase::Validate,
                    Scope::Plain,
                    FilterOptions::default(),
                    self.clone(),
                );
            }
            "scope" => {
                let scope = Scope::Prefix("far/away/");
                let options = FilterOptions::default();
                registrar.publish_filter(Phase::Validate, scope, options, self.clone());
            }
            "deliver" => {
                registrar.deliver_filter(Scope::Plain, OnFault::Deny, self.clone());
            }
            "command" => {
                registrar.owns("$x/sloppy/").command(
                    "$x/sloppy/do",
                    "$x/sloppy/did",
                    self,
                    Self::run_command,
                );
            }
            _ => {}
        }
    }

    async fn health(&self) -> Health {
        match self.fault.as_str() {
            "health" => Health::Down("not today".to_owned()),
            _ => Health::Up,
        }
    }
}

impl Sloppy {
    async fn run_command(self: Arc<Self>, _: CommandCx, body: Value) -> Result<(), RequestError> {
        tokio::task::yield_now().await;
        assert!(body["unknown"].is_null(), "on purpose");
        Ok(())
    }
}

#[async_trait]
impl PublishFilter for Sloppy {
    async fn on_publish(&self, _: &SessionInfo, message: &mut Message) -> HookResult<Verdict> {
        assert!(!message.payload.is_empty(), "on purpose");
        Ok(Verdict::Next)
    }
}

impl DeliverFilter for Sloppy {
    fn on_deliver(&self, to: Recipient<'_>, _: &Message) -> DeliverVerdict {
        // It would wait for a lock that the broker holds.
        match self.broker.session_of(to.device) {
            Some(_) => DeliverVerdict::Keep,
            None => DeliverVerdict::Skip,
        }
    }
}

fn suite(fault: &str) -> Conformance<Sloppy> {
    Conformance::new(json!({"fault": fault}))
}

fn refused(outcome: anyhow::Result<()>, word: &str) {
    let said = format!("{:#}", outcome.expect_err("the fault is found"));
    assert!(said.contains(word), "{said}");
}

#[tokio::test]
async fn each_fault_is_found_by_its_rule() -> anyhow::Result<()> {
    let none = suite("none");
    refused(none.an_unknown_key_is_refused().await, "ignores a key");
    refused(none.its_names_are_its_own().await, "someones_table");
    none.it_can_be_asked_to_reload()
        .await
        .expect_err("it takes up what it does not know");
    let second = suite("second start").it_starts_again_on_its_data().await;
    refused(second, "there is something already");
    let namespace = suite("namespace").its_names_are_its_own().await;
    refused(namespace, "$x/others/");
    let stop = suite("stop").it_stops_in_time().await;
    refused(stop, "to stop");
    let health = suite("health").it_answers_for_its_health().await;
    refused(health, "not today");
    let panic = suite("panic").odd_input_is_no_fault().await;
    refused(panic, "a publish filter panics");
    let scope = suite("scope").odd_input_is_no_fault().await;
    refused(scope, "a publish filter panics");
    let deliver = suite("deliver").odd_input_is_no_fault().await;
    refused(deliver, "a deliver filter panics");
    let command = suite("command").odd_input_is_no_fault().await;
    refused(command, "$x/sloppy/do panics");
    Ok(())
}

#[tokio::test]
async fn what_is_in_order_passes() -> anyhow::Result<()> {
    let none = suite("none");
    none.it_starts_again_on_its_data().await?;
    none.it_stops_in_time().await?;
    none.it_answers_for_its_health().await?;
    none.odd_input_is_no_fault().await
}
