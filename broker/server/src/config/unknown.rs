//! Keys that nobody knows, looked for in each layer by itself, so that the error names the right one.

use figment::error::Kind;

use super::layer::{ENV_PREFIX, Layer};
use super::settings::Settings;
use super::{ConfigError, Place};
use crate::catalogue::Catalogue;

pub(super) fn check(catalogue: &Catalogue, layer: &Layer) -> Result<(), ConfigError> {
    if *layer.place() == Place::Environment {
        check_variables()?;
    }
    let figment = layer.figment();
    if let Err(error) = figment.extract::<Settings>() {
        unless_unknown(error, None)?;
    }
    for name in layer.plugin_tables() {
        let Some(factory) = catalogue.factory(name) else {
            let key = format!("plugins.{name}");
            let place = layer.place().at(&key);
            return Err(ConfigError::UnknownTable {
                key,
                place,
                known: catalogue.names(),
            });
        };
        if let Err(error) = factory.check(&figment) {
            unless_unknown(error, Some(factory.id))?;
        }
    }
    Ok(())
}

/// Other faults wait for the merged whole: what is missing or wrong here may be mended above.
fn unless_unknown(
    error: impl Into<Box<figment::Error>>,
    plugin: Option<&str>,
) -> Result<(), ConfigError> {
    let error = error.into();
    match error.kind {
        Kind::UnknownField(..) => Err(ConfigError::new(error, plugin)),
        _ => Ok(()),
    }
}

/// Variables that name no key at all; they would be passed over.
fn check_variables() -> Result<(), ConfigError> {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if let Some(key) = name.to_ascii_uppercase().strip_prefix(ENV_PREFIX)
            && key.split("__").any(str::is_empty)
        {
            return Err(ConfigError::EmptyKey {
                variable: name.into_owned(),
            });
        }
    }
    Ok(())
}
