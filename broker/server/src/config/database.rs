use serde::{Deserialize, Serialize};

/// `[database]`: where data is kept.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DatabaseConfig {
    /// `sqlite:FILE` or `postgres://…`; empty = a SQLite file in the data folder.
    pub(crate) url: String,
}

impl std::fmt::Debug for DatabaseConfig {
    /// The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DatabaseConfig")
    }
}
