//! `partyline user …`.

use partyline_accounts::Directory;
use serde_json::{Value, json};

use super::password::Password;
use crate::cli::{PasswordArgs, UserArgs, UserCommand};
use crate::output::Output;

pub(super) async fn run(
    command: UserCommand,
    directory: &Directory,
    output: Output,
) -> anyhow::Result<()> {
    let (text, json) = match command {
        UserCommand::Add(PasswordArgs { user, generate }) => {
            let password = Password::obtain(generate)?;
            directory
                .add_user(&user.app_key, &user.username, Some(password.expose()))
                .await?;
            with_password("added", &user, &password)
        }
        UserCommand::Password(PasswordArgs { user, generate }) => {
            let password = Password::obtain(generate)?;
            directory
                .set_password(&user.app_key, &user.username, password.expose())
                .await?;
            with_password(
                "set a new password and ended the logins of",
                &user,
                &password,
            )
        }
        UserCommand::Disable(user) => {
            directory
                .disable_user(&user.app_key, &user.username, true)
                .await?;
            done("disabled", &user)
        }
        UserCommand::Enable(user) => {
            directory
                .disable_user(&user.app_key, &user.username, false)
                .await?;
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
    password: &Password,
) -> (String, Value) {
    let text = format!("{what} user {username} of app {app_key}");
    match password {
        Password::Given(_) => (text, json!({ "app_key": app_key, "username": username })),
        Password::Made(made) => (
            format!("{text}\npassword  {made}\nThe password is not shown again."),
            json!({ "app_key": app_key, "username": username, "password": made }),
        ),
    }
}
