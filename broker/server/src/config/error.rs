//! What can be wrong with the configuration, and where.

use std::fmt;
use std::path::PathBuf;

use figment::error::{Kind, OneOf};
use figment::{Error, Figment, Metadata};
use partyline_broker::Unusable;

use super::layer::ENV_PREFIX;
use super::redact;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Built in.
    Defaults,
    /// A file.
    File(PathBuf),
    /// Some environment variable.
    Environment,
    /// This environment variable.
    Variable(String),
    /// The flags.
    Flags,
}

impl Place {
    /// As figment carries it along with the values.
    pub(super) fn metadata(&self) -> Metadata {
        match self {
            Self::File(path) => Metadata::from("file", path.as_path()),
            other => Metadata::named(other.to_string()),
        }
    }

    /// The place that figment names for `key`.
    pub(super) fn of(metadata: Option<&Metadata>, key: &str) -> Self {
        let Some(metadata) = metadata else {
            return Self::Defaults;
        };
        if let Some(path) = metadata
            .source
            .as_ref()
            .and_then(|source| source.file_path())
        {
            return Self::File(path.to_owned());
        }
        let places = [Self::Environment, Self::Flags];
        let place = places
            .into_iter()
            .find(|place| metadata.name == place.to_string());
        place.unwrap_or(Self::Defaults).at(key)
    }

    /// The variable that sets `key`, if the place is the environment.
    pub(super) fn at(&self, key: &str) -> Self {
        if *self != Self::Environment {
            return self.clone();
        }
        // Whole or in part: a variable may set a section, and a section may come from several.
        let sets = |name: &String| {
            // Figment takes the names in any case.
            let name = name.to_ascii_uppercase();
            let path = name.strip_prefix(ENV_PREFIX).unwrap_or_default();
            let path = path.replace("__", ".").to_ascii_lowercase();
            !path.is_empty() && (is_within(key, &path) || is_within(&path, key))
        };
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        let name = names.filter(sets).max_by_key(String::len);
        name.map_or(Self::Environment, Self::Variable)
    }
}

/// Whether `key` is the section or a part of it.
fn is_within(key: &str, section: &str) -> bool {
    let rest = key.strip_prefix(section);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("the built-in defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment => f.write_str("the environment"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flags => f.write_str("the command line"),
        }
    }
}

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{place}, line {line}, column {column}: {problem}")]
    Syntax {
        place: Place,
        line: usize,
        column: usize,
        problem: String,
    },
    #[error("unknown key {key} in {place}; expected {known}")]
    UnknownKey {
        key: String,
        place: Place,
        known: String,
    },
    #[error("environment variable {variable} names no key")]
    EmptyKey { variable: String },
    #[error("unknown plugin table {key} in {place}; the plugins are {known}")]
    UnknownTable {
        key: String,
        place: Place,
        known: String,
    },
    #[error("unknown plugin {name:?} in plugins.enabled in {place}; the plugins are {known}")]
    UnknownEnabled {
        name: String,
        place: Place,
        known: String,
    },
    #[error("plugin {name:?} stands twice in plugins.enabled in {place}")]
    EnabledTwice { name: String, place: Place },
    #[error("{key} in {place}: {problem}")]
    Value {
        key: String,
        place: Place,
        problem: String,
    },
}

impl ConfigError {
    /// From the kernel's objection to a value.
    pub(super) fn unusable(unusable: &Unusable, figment: &Figment) -> Self {
        let key = unusable.key();
        Self::Value {
            key: key.to_owned(),
            place: Place::of(figment.find_metadata(key), key),
            problem: unusable.to_string(),
        }
    }

    /// From figment's error; `plugin` is the one that was reading its table.
    pub(super) fn new(error: impl Into<Box<Error>>, plugin: Option<&str>) -> Self {
        let error = *error.into();
        let mut path = error.path;
        if let Some(plugin) = plugin {
            // Figment appends the table's path instead of putting it in front.
            path.truncate(path.len().saturating_sub(2));
            path.splice(0..0, ["plugins".to_owned(), plugin.to_owned()]);
        }
        let key = path.join(".");
        let place = Place::of(error.metadata.as_ref(), &key);
        match error.kind {
            Kind::UnknownField(_, known) => Self::UnknownKey {
                key,
                place,
                known: OneOf(known).to_string(),
            },
            _ if path.last().is_some_and(|leaf| redact::is_secret(leaf)) => {
                let problem = "a value of this kind cannot stand here".to_owned();
                Self::Value {
                    key,
                    place,
                    problem,
                }
            }
            kind => Self::Value {
                key,
                place,
                problem: problem(&kind),
            },
        }
    }
}

/// What is wrong with a value, without the names of our own types.
fn problem(kind: &Kind) -> String {
    let (found, wanted) = match kind {
        Kind::InvalidType(found, wanted) | Kind::InvalidValue(found, wanted) => (found, wanted),
        other => return other.to_string(),
    };
    let largest: u64 = match wanted.as_str() {
        "u8" => u8::MAX.into(),
        "u16" => u16::MAX.into(),
        "u32" => u32::MAX.into(),
        "u64" | "usize" => u64::MAX,
        "a boolean" => return format!("found {found} where true or false must stand"),
        wanted => return format!("found {found} where {wanted} must stand"),
    };
    if largest == u64::MAX {
        return format!("found {found} where a whole number from 0 must stand");
    }
    format!("found {found} where a whole number from 0 to {largest} must stand")
}
