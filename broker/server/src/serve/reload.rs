//! What SIGHUP does: what can be changed while the server runs is read again.

use std::collections::BTreeSet;

use figment::Figment;
use figment::value::{Dict, Value};
use partyline_broker::{Broker, TlsConfig};

use crate::catalogue::Catalogue;
use crate::cli::{GlobalArgs, ServeArgs};
use crate::config::Config;

/// Reads the configuration again and takes from it what can be taken. Whatever is wrong is logged,
/// and stays as it was.
///
/// `tls` are the files in use; they are read again even where the configuration cannot be. `begun` is
/// the configuration that the server began with: what differs from it and is not taken up is named.
pub(super) async fn reload(
    broker: &Broker,
    catalogue: &Catalogue,
    global: &GlobalArgs,
    flags: &ServeArgs,
    begun: &Figment,
    tls: &mut Option<TlsConfig>,
) {
    match Config::load(catalogue, global, flags) {
        Ok(config) => {
            if config.broker.mqtt.tls.is_some() {
                tls.clone_from(&config.broker.mqtt.tls);
            }
            let keys = not_taken_up(begun, &config.figment);
            if !keys.is_empty() {
                let keys = keys.join(", ");
                tracing::warn!(keys, "what changed here needs a restart");
            }
            // What it did to each plugin is logged there.
            if let Err(error) = broker.reload(&config.figment).await {
                let error = format!("{:#}", anyhow::Error::new(error));
                tracing::error!(error, "no plugin was reloaded");
            }
        }
        Err(error) => tracing::error!(
            error = format!("{:#}", anyhow::Error::new(error)),
            "the configuration cannot be used, what was read before stays in force"
        ),
    }
    let Some(files) = tls else {
        return;
    };
    match broker.reload_certificate(files) {
        Ok(true) => tracing::info!(cert = %files.cert.display(), "the certificate was read again"),
        Ok(false) => {}
        Err(error) => tracing::error!(
            error = format!("{:#}", anyhow::Error::new(error)),
            "the certificate that was read before stays in use"
        ),
    }
}

/// The keys of the broker's own sections that say something else now. The plugins' tables are theirs
/// to answer for, and the files of a certificate are read again.
fn not_taken_up(begun: &Figment, now: &Figment) -> Vec<String> {
    let sections = ["mqtt", "http", "limits", "database", "log"];
    let mut changed: Vec<String> = sections
        .into_iter()
        .flat_map(|section| {
            let (old, new) = (table(begun, section), table(now, section));
            let keys = old.keys().chain(new.keys()).map(String::as_str);
            let keys: BTreeSet<&str> = keys.collect();
            let differs = |key: &&str| {
                let (old, new) = (old.get(*key), new.get(*key));
                let files = (section, *key) == ("mqtt", "tls") && old.is_some() && new.is_some();
                old != new && !files
            };
            let keys = keys.into_iter().filter(differs);
            keys.map(|key| format!("{section}.{key}"))
                .collect::<Vec<_>>()
        })
        .collect();
    let enabled = "plugins.enabled";
    if begun.find_value(enabled).ok() != now.find_value(enabled).ok() {
        changed.push(enabled.to_owned());
    }
    changed
}

fn table(figment: &Figment, section: &str) -> Dict {
    let value = figment.find_value(section).ok();
    value.and_then(Value::into_dict).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    #[test]
    fn what_needs_a_restart_is_named() {
        let read = |text: &str| Figment::from(Toml::string(text));
        let begun = "[mqtt]\nbind = 'a'\nstop_grace = 1\n[mqtt.tls]\ncert = 'a'\n\
                     [plugins]\nenabled = ['im']\n[plugins.im]\nx = 1";
        for (text, changed) in [
            (begun.to_owned(), ""),
            (begun.replace("x = 1", "x = 2"), ""),
            (begun.replace("cert = 'a'", "cert = 'b'"), ""),
            (begun.replace("[mqtt.tls]\ncert = 'a'\n", ""), "mqtt.tls"),
            (begun.replace("bind = 'a'\n", ""), "mqtt.bind"),
            (begun.replace("grace = 1", "grace = 2"), "mqtt.stop_grace"),
            (begun.replace("['im']", "[]"), "plugins.enabled"),
            (
                format!("{begun}\n[log]\nfilter = 'debug'\n[limits]\nin_flight = 1"),
                "limits.in_flight, log.filter",
            ),
        ] {
            let keys = not_taken_up(&read(begun), &read(&text)).join(", ");
            assert_eq!(keys, changed, "{text}");
        }
    }
}
