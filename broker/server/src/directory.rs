//! Apps and users from the command line, whether or not a server runs: one that does notices the
//! changes in the database.

mod apps;
mod password;
mod users;

use anyhow::Context;
use partyline_accounts::{AccountsPlugin, Config as AccountsConfig, Directory};
use partyline_plugin::database::Database;
use partyline_plugin::{Clock, Plugin};

use crate::cli::{AppCommand, GlobalArgs, UserCommand};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::output::Output;

/// The directory on a database, whose tables are brought up to date first.
pub(crate) async fn open(config: &Config, database: &Database) -> anyhow::Result<Directory> {
    let id = AccountsPlugin::ID;
    if let Some(migrations) = AccountsPlugin::migrations() {
        let migrated = database.migrate(id, migrations).await;
        migrated.context("cannot bring the tables of the plugin accounts up to date")?;
    }
    let accounts: AccountsConfig = config.plugin(id)?;
    Ok(Directory::new(
        database.clone(),
        Clock::default(),
        accounts,
    )?)
}

/// Carries out `partyline app …`.
pub(crate) async fn app(
    command: AppCommand,
    config: &Config,
    global: &GlobalArgs,
    output: Output,
) -> anyhow::Result<()> {
    let (database, directory) = connect(config, global).await?;
    let done = apps::run(command, &directory, output).await;
    database.close().await;
    done
}

/// Carries out `partyline user …`.
pub(crate) async fn user(
    command: UserCommand,
    config: &Config,
    global: &GlobalArgs,
    output: Output,
) -> anyhow::Result<()> {
    let (database, directory) = connect(config, global).await?;
    let done = users::run(command, &directory, output).await;
    database.close().await;
    done
}

async fn connect(config: &Config, global: &GlobalArgs) -> anyhow::Result<(Database, Directory)> {
    let data = DataDir::create(&global.data)?;
    let database = data.open_database(&config.database_url).await?;
    let directory = open(config, &database).await?;
    Ok((database, directory))
}
