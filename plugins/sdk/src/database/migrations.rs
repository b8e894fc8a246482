//! A plugin's tables.

use std::borrow::Cow;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use super::{Database, Pool};

/// The migrations of one plugin, for both databases. Append only; each plugin has its own table
/// of what was applied, and names its tables with its id first.
#[derive(Debug, Clone, Copy)]
pub struct Migrations {
    /// For SQLite: name and SQL, in order.
    pub sqlite: &'static [(&'static str, &'static str)],
    /// For PostgreSQL: name and SQL, in order.
    pub postgres: &'static [(&'static str, &'static str)],
}

impl Database {
    /// Brings the tables of `plugin` up to date.
    pub async fn migrate(
        &self,
        plugin: &'static str,
        migrations: Migrations,
    ) -> Result<(), MigrateError> {
        let table = format!("_migrations_{}", plugin.replace('-', "_"));
        match self.pool() {
            Pool::Sqlite { writer, .. } => migrator(table, migrations.sqlite).run(writer).await,
            Pool::Postgres(pool) => migrator(table, migrations.postgres).run(pool).await,
        }
    }
}

fn migrator(table: String, steps: &'static [(&'static str, &'static str)]) -> Migrator {
    let steps = steps.iter().zip(1..).map(|((name, sql), version)| {
        let kind = MigrationType::Simple;
        Migration::new(
            version,
            Cow::Borrowed(name),
            kind,
            sql.into_sql_str(),
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(steps.collect());
    migrator.dangerous_set_table_name(table);
    migrator
}
