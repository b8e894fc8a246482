//! The configuration: defaults, then a file, then the environment, then flags.

mod database;
mod error;
mod layer;
mod log;
mod redact;
mod settings;
mod show;
mod unknown;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use figment::Figment;
use partyline_broker::BrokerConfig;
use serde::de::DeserializeOwned;

pub(crate) use error::{ConfigError, Place};
use layer::Layer;
pub(crate) use log::{LogConfig, LogFormat};
use settings::Settings;
pub(crate) use show::show;

use crate::catalogue::Catalogue;
use crate::cli::{GlobalArgs, ServeArgs};

/// Every key with its default, commented.
const DEFAULTS: &str = include_str!("../config.default.toml");
/// The file in the data folder.
const FILE_NAME: &str = "partyline.toml";

/// The merged and checked configuration.
pub(crate) struct Config {
    pub(crate) broker: BrokerConfig,
    /// Empty = SQLite in the data folder. May hold a password.
    pub(crate) database_url: String,
    pub(crate) log: LogConfig,
    /// Ids from the catalogue, each once, in the order of their hooks.
    pub(crate) enabled: Vec<String>,
    /// The merged values, for the plugins' own tables.
    pub(crate) figment: Figment,
}

impl std::fmt::Debug for Config {
    /// The URL, and what plugins read, may hold secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").finish_non_exhaustive()
    }
}

impl Config {
    /// Reads all sources.
    pub(crate) fn load(
        catalogue: &Catalogue,
        global: &GlobalArgs,
        flags: &ServeArgs,
    ) -> Result<Self, ConfigError> {
        let file = file(global.config.as_deref(), &global.data)?;
        let mut layers = vec![Layer::text(Place::Defaults, DEFAULTS)?];
        if let Some(path) = file {
            layers.push(Layer::file(path)?);
        }
        layers.push(Layer::environment()?);
        layers.push(Layer::flags(flags));
        Self::merge(catalogue, layers)
    }

    /// The table of one plugin, which was checked when it was loaded.
    pub(crate) fn plugin<T: DeserializeOwned>(&self, id: &str) -> Result<T, ConfigError> {
        let table = self.figment.extract_inner(&format!("plugins.{id}"));
        table.map_err(|error| ConfigError::new(error, Some(id)))
    }

    fn merge(catalogue: &Catalogue, layers: Vec<Layer>) -> Result<Self, ConfigError> {
        let mut figment = Figment::new();
        for layer in layers {
            unknown::check(catalogue, &layer)?;
            figment = figment.merge(layer);
        }
        let settings: Settings = figment
            .extract()
            .map_err(|error| ConfigError::new(error, None))?;
        for factory in catalogue.factories() {
            let id = factory.id;
            factory
                .check(&figment)
                .map_err(|error| ConfigError::new(error, Some(id)))?;
        }
        let enabled = settings.plugins.enabled;
        check_enabled(catalogue, &enabled, &figment)?;
        let broker = BrokerConfig {
            mqtt: settings.mqtt,
            http: settings.http,
            limits: settings.limits,
        };
        broker
            .check()
            .map_err(|unusable| ConfigError::unusable(&unusable, &figment))?;
        Ok(Self {
            broker,
            database_url: settings.database.url,
            log: settings.log,
            enabled,
            figment,
        })
    }
}

/// The file that was named, which must exist, or the one in the data folder, if it does.
fn file(named: Option<&Path>, data: &Path) -> Result<Option<PathBuf>, ConfigError> {
    if let Some(named) = named {
        return Ok(Some(named.to_owned()));
    }
    let path = data.join(FILE_NAME);
    match path.try_exists() {
        Ok(exists) => Ok(exists.then_some(path)),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
    }
}

fn check_enabled(
    catalogue: &Catalogue,
    enabled: &[String],
    figment: &Figment,
) -> Result<(), ConfigError> {
    let mut seen = Vec::new();
    for name in enabled {
        let place = || Place::of(figment.find_metadata("plugins.enabled"), "plugins.enabled");
        if !catalogue.knows(name) {
            let (name, known) = (name.clone(), catalogue.names());
            return Err(ConfigError::UnknownEnabled {
                name,
                place: place(),
                known,
            });
        }
        if seen.contains(&name) {
            return Err(ConfigError::EnabledTwice {
                name: name.clone(),
                place: place(),
            });
        }
        seen.push(name);
    }
    Ok(())
}
