//! `partyline user …`.

use partyline_accounts::Directory;
use partyline_plugin::protocol::Secret;
use serde_json::{Value, json};

use super::password;
use crate::cli::{PasswordArgs, UserArgs, UserCommand};
use crate::output::Output;

pub(super) async fn run(
    command: UserCommand,
    directory: &Directory,
    output: Output,
) -> anyhow::Result<()> {
    let (text, json) = match command {
        UserCommand::Add(PasswordArgs { user, generate }) => {
            let given = password::read(generate)?;
            let made = directory
                .add_user(&user.app_key, &user.username, given.as_deref())
                .await?;
            with_password("added", &user, made.as_ref())
        }
        UserCommand::Password(PasswordArgs { user, generate }) => {
            let given = password::read(generate)?;
            let made = directory
                .set_password(&user.app_key, &user.username, given.as_deref())
                .await?;
            let what = "set a new password and ended the logins of";
            with_password(what, &user, made.as_ref())
        }
        UserCommand::Disable(user) => {
            directory
                .disable_user(&user.app_key, &user.username)
                .await?;
            done("disabled", &user)
        }
        UserCommand::Enable(user) => {
            directory.enable_user(&user.app_key, &user.username).await?;
            done("enabled", &user)
        }
        UserCommand::Delete(user) => {
            directory.delete_user(&user.app_key, &user.username).await?;
            done("deleted", &user)
        }
    };
    output.print(text, &json)?;
    Ok(())
}

fn done(what: &str, UserArgs { app_key, username }: &UserArgs) -> (String, Value) {
    let text = format!("{what} user {username} of app {app_key}");
    (
        text,
        json!({ "app_key": app_key, "username": username, (what): true }),
    )
}

/// Shows the password only to those who did not choose it.
fn with_password(
    what: &str,
    UserArgs { app_key, username }: &UserArgs,
    made: Option<&Secret>,
) -> (String, Value) {
    let text = format!("{what} user {username} of app {app_key}");
    match made.map(Secret::expose) {
        None => (text, json!({ "app_key": app_key, "username": username })),
        Some(made) => (
            format!("{text}\npassword  {made}\nThe password is not shown again."),
            json!({ "app_key": app_key, "username": username, "password": made }),
        ),
    }
}
