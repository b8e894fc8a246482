use serde_json::{Value, json};

use crate::support::Home;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn apps_come_and_go() {
    let home = Home::new();
    assert_eq!(
        home.run(&["app", "list", "--json"]).json(),
        json!({ "apps": [] })
    );
    let made = home.run(&["app", "create", "shop", "--json"]).json();
    let key = text(&made["app_key"]);
    assert_eq!((key.len(), &made["name"]), (24, &json!("shop")));

    let listed = home.run(&["app", "list", "--json"]).json();
    assert_eq!(listed["apps"][0]["app_key"], key);
    assert_eq!(listed["apps"][0]["name"], "shop");
    assert_eq!(listed["apps"][0]["registration"], "closed");
    assert!(home.run(&["app", "list"]).ok().contains("shop"));

    let rotated = home.run(&["app", "rotate", key, "--json"]).json();
    assert_eq!(text(&rotated["master_secret"]).len(), 24);
    assert_ne!(rotated["master_secret"], made["master_secret"]);

    let opened = home
        .run(&["app", "registration", key, "open", "--json"])
        .json();
    assert_eq!(opened, json!({ "app_key": key, "registration": "open" }));
    let token = home
        .run(&["app", "registration", key, "token", "--json"])
        .json();
    assert!(text(&token["registration_token"]).len() >= 20);

    let deleted = home.run(&["app", "delete", key, "--json"]).json();
    assert_eq!(deleted, json!({ "app_key": key, "deleted": true }));
    assert_eq!(home.run(&["app", "list"]).ok(), "there are no apps\n");
    let error = home.run(&["app", "delete", key]).error();
    assert_eq!(error, format!("there is no app {key}"));
}

#[test]
fn users_come_and_go() {
    let home = Home::new();
    let app = home.run(&["app", "create", "shop", "--json"]).json();
    let key = text(&app["app_key"]);

    let empty = home.run_with_input(&["user", "add", key, "anna"], "\n");
    let error = "the password on standard input is empty; --generate makes one";
    assert_eq!(empty.error(), error);
    let added = home.run(&["user", "add", key, "anna", "--json"]).json();
    assert_eq!(
        (&added["app_key"], &added["username"]),
        (&json!(key), &json!("anna"))
    );
    assert!(text(&added["password"]).len() >= 16, "made and printed");
    assert_eq!(
        home.run(&["user", "add", key, "anna", "--generate"])
            .error(),
        "there is a user anna in the app already"
    );

    let given = home.run_with_input(&["user", "add", key, "bert", "--json"], "correct horse\n");
    assert_eq!(
        given.json(),
        json!({ "app_key": key, "username": "bert" }),
        "a given one is not shown"
    );
    let args = ["user", "password", key, "bert", "--generate", "--json"];
    let made = home.run_with_input(&args, "not read\n").json();
    assert!(text(&made["password"]).len() >= 16);
    assert_ne!(made["password"], added["password"]);
    let refused = home
        .run_with_input(&["user", "password", key, "bert"], "abc\n")
        .error();
    assert!(refused.contains("4 to 128 bytes"), "{refused}");

    for (verb, what) in [
        ("disable", "disabled"),
        ("enable", "enabled"),
        ("delete", "deleted"),
    ] {
        let done = home.run(&["user", verb, key, "anna", "--json"]).json();
        assert_eq!(
            done,
            json!({ "app_key": key, "username": "anna", (what): true })
        );
    }
    assert_eq!(
        home.run(&["user", "disable", key, "anna"]).error(),
        "there is no user anna in the app"
    );
    let nobody = "0".repeat(24);
    let error = home
        .run_with_input(&["user", "add", &nobody, "anna"], "hush hush")
        .error();
    assert_eq!(error, format!("there is no app {nobody}"));
}

#[test]
fn failures_are_json_when_asked_for() {
    let home = Home::new();
    let ran = home.run(&["app", "rotate", &"0".repeat(24), "--json"]);
    assert_eq!((ran.code, &*ran.stdout), (1, ""));
    let error: Value = serde_json::from_str(&ran.stderr).unwrap();
    let message = format!("there is no app {}", "0".repeat(24));
    assert_eq!(
        error,
        json!({ "error": { "message": message, "causes": [] } })
    );
}
