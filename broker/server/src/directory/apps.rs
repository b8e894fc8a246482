//! `partyline app …`.

use std::fmt::Write;

use partyline_accounts::{AppInfo, Directory};
use serde_json::{Value, json};

use crate::cli::AppCommand;
use crate::output::Output;

pub(super) async fn run(
    command: AppCommand,
    directory: &Directory,
    output: Output,
) -> anyhow::Result<()> {
    let (text, json) = match command {
        AppCommand::Create { name } => {
            let app = directory.create_app(&name).await?;
            let (key, secret) = (&app.app_key, app.master_secret.expose());
            let text = format!(
                "created app {:?}\napp key        {key}\nmaster secret  {secret}\n\
                 The secret is not shown again.",
                app.name
            );
            (
                text,
                json!({ "app_key": key, "name": app.name, "master_secret": secret }),
            )
        }
        AppCommand::List => list(&directory.apps().await?),
        AppCommand::Rotate { app_key } => {
            let secret = directory.rotate_secret(&app_key).await?;
            let secret = secret.expose();
            let text = format!(
                "new master secret of app {app_key}; the old one no longer works\n\
                 master secret  {secret}\nThe secret is not shown again."
            );
            (text, json!({ "app_key": app_key, "master_secret": secret }))
        }
        AppCommand::Registration { app_key, policy } => {
            let token = directory.set_registration(&app_key, policy).await?;
            let policy = policy.as_str();
            let mut text = format!("registration of devices in app {app_key} is now {policy}");
            let mut json = json!({ "app_key": app_key, "registration": policy });
            if let Some(token) = token {
                let token = token.expose();
                write!(text, "\ntoken  {token}\nThe token is not shown again.")?;
                set(&mut json, "registration_token", token);
            }
            (text, json)
        }
        AppCommand::Delete { app_key } => {
            directory.delete_app(&app_key).await?;
            let text = format!("deleted app {app_key} with its users, devices and messages");
            (text, json!({ "app_key": app_key, "deleted": true }))
        }
    };
    output.print(text, &json)?;
    Ok(())
}

fn list(apps: &[AppInfo]) -> (String, Value) {
    let line = |app: &AppInfo| {
        format!(
            "{}  {:<6}  {}",
            app.app_key,
            app.registration.as_str(),
            app.name
        )
    };
    let text = match apps {
        [] => "there are no apps".to_owned(),
        apps => apps.iter().map(line).collect::<Vec<_>>().join("\n"),
    };
    let json = apps.iter().map(|app| {
        json!({
            "app_key": app.app_key,
            "name": app.name,
            "registration": app.registration,
            "created_at_ms": app.created_at,
        })
    });
    (text, json!({ "apps": json.collect::<Vec<_>>() }))
}

fn set(json: &mut Value, key: &str, value: &str) {
    if let Value::Object(object) = json {
        object.insert(key.to_owned(), value.into());
    }
}
