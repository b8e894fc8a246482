//! `partyline acl …`.

use std::io::{self, Read};

use anyhow::{Context, bail};
use partyline_accounts::Directory;
use partyline_acl::{AppRule, AppRules};
use partyline_plugin::protocol::AppKey;
use partyline_plugin::services::Accounts;
use serde_json::{Value, json};

use crate::cli::{AclCommand, RuleArgs};
use crate::output::Output;

/// More than any list of rules has; what is longer is not read.
const MAX_INPUT: u64 = 1024 * 1024;

pub(super) async fn run(
    command: AclCommand,
    directory: &Directory,
    rules: &AppRules,
    output: Output,
) -> anyhow::Result<()> {
    let app = match &command {
        AclCommand::List { app_key }
        | AclCommand::Remove { app_key, .. }
        | AclCommand::Set { app_key }
        | AclCommand::Add(RuleArgs { app_key, .. }) => app_key.clone(),
    };
    if !directory.app_exists(&app).await? {
        bail!("there is no app {app}");
    }
    let list = match command {
        AclCommand::List { .. } => rules.list(&app).await?,
        AclCommand::Add(RuleArgs {
            effect,
            action,
            topic,
            user,
            at,
            ..
        }) => {
            let rule = AppRule {
                effect,
                action,
                topic,
                user,
            };
            rules.add(&app, rule, at).await?
        }
        AclCommand::Remove { number, .. } => rules.remove(&app, number).await?,
        AclCommand::Set { .. } => rules.set(&app, given(io::stdin().lock())?).await?,
    };
    let rules: Vec<_> = list
        .iter()
        .zip(1..)
        .map(|(rule, number)| {
            json!({
                "number": number,
                "effect": rule.effect,
                "action": rule.action,
                "topic": rule.topic,
                "user": rule.user,
            })
        })
        .collect();
    output.print(
        text(&app, &list),
        &json!({ "app_key": app, "rules": rules }),
    )?;
    Ok(())
}

fn text(app: &AppKey, rules: &[AppRule]) -> String {
    if rules.is_empty() {
        return format!("app {app} has no rules of its own");
    }
    let line = |(rule, number): (&AppRule, usize)| {
        let (effect, action) = (rule.effect.as_str(), rule.action.as_str());
        let user = rule.user.as_ref();
        let user = user.map_or(String::new(), |user| format!("  user {user}"));
        format!(
            "{number:>3}  {effect:<5}  {action:<9}  {}{user}",
            rule.topic
        )
    };
    let lines: Vec<String> = rules.iter().zip(1..).map(line).collect();
    lines.join("\n")
}

fn given(input: impl Read) -> anyhow::Result<Vec<AppRule>> {
    let mut text = String::new();
    let read = input.take(MAX_INPUT).read_to_string(&mut text);
    read.context("cannot read the rules from standard input")?;
    rules_of(&text).context("standard input is no JSON array of rules")
}

/// An array of rules, or what `list --json` says, in which they have numbers; they are taken in the
/// order in which they stand, for whatever app.
fn rules_of(text: &str) -> serde_json::Result<Vec<AppRule>> {
    let mut given: Value = serde_json::from_str(text)?;
    let Some(listed) = given.get_mut("rules") else {
        return serde_json::from_str(text);
    };
    for rule in listed.as_array_mut().into_iter().flatten() {
        if let Some(rule) = rule.as_object_mut() {
            rule.remove("number");
            if rule.get("user").is_some_and(Value::is_null) {
                rule.remove("user");
            }
        }
    }
    serde_json::from_value(listed.take())
}
