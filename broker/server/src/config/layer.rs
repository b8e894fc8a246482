//! One source of values, which errors can name.

use std::path::PathBuf;

use figment::providers::Env;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::{ConfigError, Place};
use crate::cli::ServeArgs;

/// What environment variables of the configuration begin with; `__` parts their levels.
pub(super) const ENV_PREFIX: &str = "PARTYLINE__";

#[derive(Debug)]
pub(super) struct Layer {
    place: Place,
    values: Dict,
}

impl Layer {
    pub(super) fn file(path: PathBuf) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(&path) {
            Ok(text) => Self::text(Place::File(path), &text),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// TOML text. The error names line and column, and never shows the line: it may hold a secret.
    pub(super) fn text(place: Place, text: &str) -> Result<Self, ConfigError> {
        match toml::from_str(text) {
            Ok(values) => Ok(Self { place, values }),
            Err(error) => {
                let start = error.span().map_or(0, |span| span.start);
                let before = text.get(..start).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
                let problem = error.message().lines().collect::<Vec<_>>().join(", ");
                Err(ConfigError::Syntax {
                    place,
                    line,
                    column,
                    problem,
                })
            }
        }
    }

    pub(super) fn environment() -> Result<Self, ConfigError> {
        Self::of(Place::Environment, &Env::prefixed(ENV_PREFIX).split("__"))
    }

    /// Not by way of a `Figment`, which would name itself as the place of the values.
    pub(super) fn flags(flags: &ServeArgs) -> Self {
        let addresses = [
            ("mqtt", "listen", flags.mqtt),
            ("mqtt", "tls_listen", flags.mqtts),
            ("mqtt", "ws_listen", flags.ws),
            ("http", "listen", flags.http),
        ];
        let mut values = Dict::new();
        for (section, key, address) in addresses {
            let Some(address) = address else {
                continue;
            };
            let section = values.entry(section.to_owned());
            let section = section.or_insert_with(|| Dict::new().into());
            if let Value::Dict(_, section) = section {
                section.insert(key.to_owned(), address.to_string().into());
            }
        }
        let place = Place::Flags;
        Self { place, values }
    }

    fn of(place: Place, provider: &dyn Provider) -> Result<Self, ConfigError> {
        match provider.data() {
            Ok(mut profiles) => {
                let values = profiles.remove(&Profile::Default).unwrap_or_default();
                Ok(Self { place, values })
            }
            Err(error) => Err(ConfigError::new(error, None)),
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// The names of the plugins' tables.
    pub(super) fn plugin_tables(&self) -> Vec<&str> {
        let plugins = self
            .values
            .get("plugins")
            .and_then(|plugins| plugins.as_dict());
        let names = plugins.into_iter().flat_map(Dict::keys).map(String::as_str);
        names.filter(|name| *name != "enabled").collect()
    }

    /// The values of this layer alone.
    pub(super) fn figment(&self) -> Figment {
        Figment::from(Self {
            place: self.place.clone(),
            values: self.values.clone(),
        })
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.place.metadata()
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}
