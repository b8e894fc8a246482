//! What a database holds, as text.

use partyline_plugin::database::{Database, Pool};
use partyline_plugin::sqlx;

/// Every row of every table, in the database's own words.
pub(crate) async fn contents(database: &Database) -> String {
    let mut rows: Vec<String> = Vec::new();
    match database.pool() {
        Pool::Sqlite { reader, .. } => {
            let tables = "SELECT name FROM sqlite_master WHERE type = 'table'";
            let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(reader).await.unwrap();
            for table in tables {
                let columns = "SELECT group_concat('quote(\"' || name || '\")', ' || ' )
                     FROM pragma_table_info($1)";
                let columns = sqlx::query_scalar(columns).bind(&table);
                let columns: String = columns.fetch_one(reader).await.unwrap();
                let all = format!("SELECT {columns} FROM \"{table}\"");
                let all = sqlx::query_scalar(sqlx::AssertSqlSafe(all));
                rows.extend(all.fetch_all(reader).await.unwrap());
            }
        }
        Pool::Postgres(pool) => {
            let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
            let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(pool).await.unwrap();
            for table in tables {
                let all = format!("SELECT t::text FROM \"{table}\" t");
                let all = sqlx::query_scalar(sqlx::AssertSqlSafe(all));
                rows.extend(all.fetch_all(pool).await.unwrap());
            }
        }
    }
    rows.join("\n")
}
