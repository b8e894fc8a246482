//! The plugin's tables.

use async_trait::async_trait;
use partyline_plugin::database::{Database, Migrations, Pool, WriteJob, WriteTx};
use partyline_protocol::AppKey;

use crate::app_rules::{AppRule, AppRulesError, Edit};

pub(crate) const MIGRATIONS: Migrations = Migrations {
    sqlite: &[("rules", include_str!("../migrations/sqlite/0001_rules.sql"))],
    postgres: &[(
        "rules",
        include_str!("../migrations/postgres/0001_rules.sql"),
    )],
};

/// An app whose rules have changed.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Changed {
    pub(crate) app_key: String,
    /// The number of the change.
    #[sqlx(rename = "changed")]
    pub(crate) number: i64,
    /// A JSON array.
    pub(crate) rules: String,
}

/// Runs a query on the pool for reads, whichever it is.
macro_rules! on_pool {
    ($database:expr, $query:expr, $fetch:ident) => {
        match $database.pool() {
            Pool::Sqlite { reader, .. } => $query.$fetch(reader).await,
            Pool::Postgres(pool) => $query.$fetch(pool).await,
        }
    };
}

/// Runs a query in a transaction, whichever it is.
macro_rules! in_tx {
    ($tx:expr, $query:expr, $fetch:ident) => {
        match &mut *$tx {
            WriteTx::Sqlite(connection) => $query.$fetch(&mut **connection).await,
            WriteTx::Postgres(connection) => $query.$fetch(&mut **connection).await,
        }
    };
}

/// Up to `limit` apps whose last change is after this one, in the order of the changes.
pub(crate) async fn changed_after(
    database: &Database,
    number: i64,
    limit: i64,
) -> Result<Vec<Changed>, sqlx::Error> {
    const QUERY: &str = "SELECT app_key, changed, rules FROM acl_app
         WHERE changed > $1 ORDER BY changed LIMIT $2";
    on_pool!(
        database,
        sqlx::query_as(QUERY).bind(number).bind(limit),
        fetch_all
    )
}

/// The stored rules of one app.
pub(crate) async fn rules_of(
    database: &Database,
    app: &AppKey,
) -> Result<Option<String>, sqlx::Error> {
    const QUERY: &str = "SELECT rules FROM acl_app WHERE app_key = $1";
    on_pool!(
        database,
        sqlx::query_scalar(QUERY).bind(app.as_str()),
        fetch_optional
    )
}

/// Up to `limit` apps that have a list, in order, after this one.
pub(crate) async fn apps_after(
    database: &Database,
    app: &str,
    limit: i64,
) -> Result<Vec<String>, sqlx::Error> {
    const QUERY: &str = "SELECT app_key FROM acl_app WHERE app_key > $1 ORDER BY app_key LIMIT $2";
    on_pool!(
        database,
        sqlx::query_scalar(QUERY).bind(app).bind(limit),
        fetch_all
    )
}

/// A change of one app's rules; gives the list after it.
pub(crate) struct Change {
    pub(crate) app: AppKey,
    pub(crate) edit: Edit,
}

#[async_trait]
impl WriteJob for Change {
    type Output = Result<Vec<AppRule>, AppRulesError>;

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<Self::Output, sqlx::Error> {
        const NUMBER: &str = "UPDATE acl_head SET number = number + 1 RETURNING number";
        const STORED: &str = "SELECT rules FROM acl_app WHERE app_key = $1";
        const STORE: &str = "INSERT INTO acl_app (app_key, changed, rules) VALUES ($1, $2, $3)
             ON CONFLICT (app_key) DO UPDATE
             SET changed = excluded.changed, rules = excluded.rules
             RETURNING changed";
        let app = self.app.as_str();
        // First, so that two changes of a list wait for one another. A number that a refused change
        // takes with it is no loss.
        let number: i64 = in_tx!(tx, sqlx::query_scalar(NUMBER), fetch_one)?;
        let stored: Option<String> =
            in_tx!(tx, sqlx::query_scalar(STORED).bind(app), fetch_optional)?;
        let rules = match self.edit.apply(stored.as_deref()) {
            Ok(rules) => rules,
            Err(refused) => return Ok(Err(refused)),
        };
        let text = match serde_json::to_string(&rules) {
            Ok(text) => text,
            Err(error) => return Ok(Err(AppRulesError::Unreadable(error))),
        };
        let _: i64 = in_tx!(
            tx,
            sqlx::query_scalar(STORE).bind(app).bind(number).bind(&text),
            fetch_one
        )?;
        Ok(Ok(rules))
    }
}

/// Forgets the rules of an app that is gone.
pub(crate) struct Forget(pub(crate) AppKey);

#[async_trait]
impl WriteJob for Forget {
    type Output = ();

    async fn run(&mut self, tx: &mut WriteTx<'_>) -> Result<(), sqlx::Error> {
        const QUERY: &str = "DELETE FROM acl_app WHERE app_key = $1 RETURNING changed";
        let app = self.0.as_str();
        let _: Option<i64> = in_tx!(tx, sqlx::query_scalar(QUERY).bind(app), fetch_optional)?;
        Ok(())
    }
}
