//! What every plugin should do.

use partyline_acl::Acl;
use partyline_testkit::{Conformance, conformance};
use serde_json::json;

conformance!(Conformance::<Acl>::new(json!({
    "rules": [{"effect": "allow", "action": "all", "topic": "%u/#"}],
})));
