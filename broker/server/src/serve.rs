//! The broker from start to stop.

mod first_start;
mod ready;
mod reload;
mod signals;

use std::process::ExitCode;

use anyhow::{Context, bail};
use partyline_accounts::AccountsPlugin;
use partyline_broker::Broker;
use partyline_plugin::Plugin;
use partyline_plugin::database::Database;
use partyline_plugin::services::Accounts;
use tokio::task::JoinSet;

use crate::catalogue::Catalogue;
use crate::cli::{GlobalArgs, ServeArgs};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::directory;
use crate::output::Output;
use reload::reload;
use signals::{Asked, Signals};

/// Runs until a signal asks for an end; SIGHUP asks for the configuration to be read again. A
/// second signal does not wait for the first one's end.
pub(crate) async fn serve(
    catalogue: &Catalogue,
    config: Config,
    global: &GlobalArgs,
    flags: &ServeArgs,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::install().context("cannot listen for signals")?;
    let data = DataDir::create(&global.data)?;
    let _locks = data.lock(&config.database_url)?;
    let mut tls = config.broker.mqtt.tls.clone();
    let begun = config.figment.clone();
    let broker = tokio::select! {
        broker = start(catalogue, config, &data, output) => broker?,
        code = signals.stop() => return Ok(code),
    };
    ready::announce(broker.addresses(), output)?;

    while signals.next().await == Asked::Reload {
        tokio::select! {
            () = reload(&broker, catalogue, global, flags, &begun, &mut tls) => {}
            _code = signals.stop() => break,
        }
    }
    tracing::info!("stopping; a second signal ends the process at once");
    Ok(finish(broker.stop(), signals.stop()).await)
}

/// Waits for the stop to end, or for a signal that does not want to.
async fn finish(
    stop: impl Future<Output = ()> + Send + 'static,
    signal: impl Future<Output = ExitCode>,
) -> ExitCode {
    // A task of its own, so that nothing in it can keep the signal from being seen.
    let mut stopping = JoinSet::new();
    stopping.spawn(stop);
    tokio::select! {
        ended = stopping.join_next() => {
            if let Some(Err(error)) = ended {
                tracing::error!(%error, "the broker did not stop in order");
                return ExitCode::FAILURE;
            }
            tracing::info!("stopped");
            ExitCode::SUCCESS
        }
        code = signal => code,
    }
}

async fn start(
    catalogue: &Catalogue,
    config: Config,
    data: &DataDir,
    output: Output,
) -> anyhow::Result<Broker> {
    let database = data.open_database(&config.database_url).await?;
    if config.enabled.iter().any(|id| id == AccountsPlugin::ID) {
        prepare_accounts(&config, &database, output).await?;
    } else {
        tracing::warn!("the plugin accounts is not enabled: nobody can connect with credentials");
    }
    for id in catalogue.ids() {
        if !config.enabled.iter().any(|enabled| enabled == id) {
            tracing::info!(plugin = id, "known, but not in [plugins] enabled");
        }
    }
    let mut builder = Broker::builder(config.broker, config.figment, database, data.path());
    for id in &config.enabled {
        let factory = catalogue
            .factory(id)
            .with_context(|| format!("unknown plugin {id}"))?;
        builder = builder.factory(factory);
    }
    builder.start().await.context("cannot start")
}

/// What must be there before anything listens.
async fn prepare_accounts(
    config: &Config,
    database: &Database,
    output: Output,
) -> anyhow::Result<()> {
    let directory = directory::open(config, database).await?;
    if let Some(app) = &config.broker.mqtt.anonymous_app
        && !directory.app_exists(app).await?
    {
        bail!("mqtt.anonymous_app names the app {app}, which does not exist");
    }
    first_start::announce(&directory, output).await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn a_second_signal_does_not_wait() {
        let signal = ExitCode::from(143);
        assert_eq!(finish(pending(), ready(signal)).await, signal);
        assert_eq!(finish(ready(()), pending()).await, ExitCode::SUCCESS);
        let broken = async { panic!("a fault in the stop") };
        assert_eq!(finish(broken, pending()).await, ExitCode::FAILURE);
    }
}
