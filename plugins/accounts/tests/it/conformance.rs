//! What every plugin should do.

use partyline_accounts::AccountsPlugin;
use partyline_protocol::names;
use partyline_testkit::{Conformance, conformance};
use serde_json::json;

conformance!(Conformance::<AccountsPlugin>::new(json!({})).owns(&[names::SESSION, "$im/session/"]));
