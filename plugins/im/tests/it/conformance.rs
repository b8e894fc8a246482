//! What every plugin should do.

use std::sync::Arc;

use partyline_im::Im;
use partyline_plugin::services::Accounts;
use partyline_plugin::{Plugin, PluginContext, Registrar, async_trait};
use partyline_protocol::names;
use partyline_testkit::{Conformance, conformance};
use serde_json::{Value, json};

use super::support::accounts::FakeAccounts;

/// In place of the plugin that keeps the users.
struct StandIn;

#[async_trait]
impl Plugin for StandIn {
    const ID: &'static str = "stand-in";
    type Config = Value;

    async fn build(_: PluginContext, _: Value) -> anyhow::Result<Self> {
        Ok(Self)
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        registrar.provides::<dyn Accounts>(Arc::new(FakeAccounts::default()));
    }
}

conformance!(
    Conformance::<Im>::new(json!({}))
        .with::<StandIn>(&json!({}))
        .owns(&["$im/", names::SESSION_CONFIGURE])
);
