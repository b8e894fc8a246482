use std::io;

use partyline_broker::Addresses;
use serde_json::json;

use crate::output::Output;

/// Says that connections are accepted, and where.
pub(super) fn announce(addresses: Addresses, output: Output) -> io::Result<()> {
    let Addresses {
        mqtt,
        mqtts,
        ws,
        http,
        ..
    } = addresses;
    let tls = mqtts.map_or(String::new(), |mqtts| format!(" mqtts={mqtts}"));
    output.print(
        format_args!("ready mqtt={mqtt}{tls} ws={ws} http={http}"),
        &json!({ "ready": { "mqtt": mqtt, "mqtts": mqtts, "ws": ws, "http": http } }),
    )
}
