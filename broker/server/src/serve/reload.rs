//! What SIGHUP does: what can be changed while the server runs is read again.

use partyline_broker::{Broker, TlsConfig};

use crate::catalogue::Catalogue;
use crate::cli::{GlobalArgs, ServeArgs};
use crate::config::Config;

/// Reads the configuration again and takes from it what can be taken. Whatever is wrong is logged,
/// and stays as it was.
///
/// `tls` are the files in use; they are read again even where the configuration cannot be.
pub(super) async fn reload(
    broker: &Broker,
    catalogue: &Catalogue,
    global: &GlobalArgs,
    flags: &ServeArgs,
    tls: &mut Option<TlsConfig>,
) {
    match Config::load(catalogue, global, flags) {
        Ok(config) => {
            if config.broker.mqtt.tls.is_some() {
                tls.clone_from(&config.broker.mqtt.tls);
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
