//! Apps, users and access rules from the command line, whether or not a server runs: one that does notices the
//! changes in the database.

mod acl;
mod apps;
mod password;
mod users;

use anyhow::Context;
use partyline_accounts::{AccountsPlugin, Config as AccountsConfig, Directory};
use partyline_acl::{Acl, AppRules};
use partyline_plugin::database::Database;
use partyline_plugin::{Clock, Plugin};

use crate::cli::{AclCommand, AppCommand, GlobalArgs, UserCommand};
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::output::Output;

/// The directory on a database, whose tables are brought up to date first.
pub(crate) async fn open(config: &Config, database: &Database) -> anyhow::Result<Directory> {
    migrate::<AccountsPlugin>(database).await?;
    let accounts: AccountsConfig = config.plugin(AccountsPlugin::ID)?;
    Ok(Directory::new(
        database.clone(),
        Clock::default(),
        accounts,
    )?)
}

async fn migrate<P: Plugin>(database: &Database) -> anyhow::Result<()> {
    if let Some(migrations) = P::migrations() {
        let migrated = database.migrate(P::ID, migrations).await;
        let id = P::ID;
        migrated
            .with_context(|| format!("cannot bring the tables of the plugin {id} up to date"))?;
    }
    Ok(())
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

/// Carries out `partyline acl …`.
pub(crate) async fn acl(
    command: AclCommand,
    config: &Config,
    global: &GlobalArgs,
    output: Output,
) -> anyhow::Result<()> {
    let (database, directory) = connect(config, global).await?;
    migrate::<Acl>(&database).await?;
    let rules = AppRules::new(database.clone());
    let done = acl::run(command, &directory, &rules, output).await;
    database.close().await;
    done
}

async fn connect(config: &Config, global: &GlobalArgs) -> anyhow::Result<(Database, Directory)> {
    let data = DataDir::create(&global.data)?;
    let database = data.open_database(&config.database_url).await?;
    let directory = open(config, &database).await?;
    Ok((database, directory))
}
