use partyline_accounts::Directory;
use serde_json::json;

use crate::output::Output;

/// On the first start of a database, makes a developer account and a demo app and prints their
/// secrets. Nothing can print them again.
pub(super) async fn announce(directory: &Directory, output: Output) -> anyhow::Result<()> {
    let Some(first) = directory.first_start().await? else {
        return Ok(());
    };
    let (developer, app) = (&first.developer, &first.app);
    let (developer_secret, master_secret) = (developer.secret.expose(), app.master_secret.expose());
    let text = format!(
        "\
first start: these secrets are not shown again
  developer         {}
  developer secret  {developer_secret}
  demo app key      {}
  master secret     {master_secret}
",
        developer.name, app.app_key
    );
    let json = json!({
        "first_start": {
            "developer": { "name": developer.name, "secret": developer_secret },
            "app": { "app_key": app.app_key, "name": app.name, "master_secret": master_secret },
        }
    });
    output.print(text, &json)?;
    Ok(())
}
