use serde_json::json;

use crate::support::Home;

#[test]
fn rules_come_and_go() {
    let home = Home::new();
    let app = home.run(&["app", "create", "shop", "--json"]).json();
    let key = app["app_key"].as_str().unwrap();
    let list = ["acl", "list", key];
    assert_eq!(
        home.run(&list).ok(),
        format!("app {key} has no rules of its own\n")
    );

    home.run(&["acl", "add", key, "allow", "all", "home/%u/#"])
        .ok();
    let args = [
        "deny",
        "publish",
        "home/%u/ro",
        "--user",
        "anna",
        "--at",
        "1",
    ];
    let added = home.run(&[&["acl", "add", key], &args[..], &["--json"]].concat());
    let both = json!({ "app_key": key, "rules": [
        { "number": 1, "effect": "deny", "action": "publish", "topic": "home/%u/ro", "user": "anna" },
        { "number": 2, "effect": "allow", "action": "all", "topic": "home/%u/#", "user": null },
    ] });
    assert_eq!(added.json(), both);
    let text = "  1  deny   publish    home/%u/ro  user anna\n  2  allow  all        home/%u/#\n";
    assert_eq!(home.run(&list).ok(), text);
    // What was listed can be set again, for another app too.
    let listed = home.run(&["acl", "list", key, "--json"]).ok();
    home.run_with_input(&["acl", "set", key], "[]").ok();
    let again = home.run_with_input(&["acl", "set", key, "--json"], &listed);
    assert_eq!(again.json(), both);
    let twin = home.run(&["app", "create", "twin", "--json"]).json();
    let twin = twin["app_key"].as_str().unwrap();
    let copy = home.run_with_input(&["acl", "set", twin, "--json"], &listed);
    assert_eq!(copy.json()["rules"], both["rules"]);

    let left = home.run(&["acl", "remove", key, "1", "--json"]).json();
    assert_eq!(left["rules"].as_array().map(Vec::len), Some(1));
    let set = r#"[{"effect":"allow","action":"subscribe","topic":"news"}]"#;
    let set = home.run_with_input(&["acl", "set", key, "--json"], set);
    assert_eq!(set.json()["rules"][0]["topic"], "news");
    let listed = home.run(&["acl", "list", key, "--json"]).json();
    assert_eq!(listed["rules"][0]["action"], "subscribe");
    assert_eq!(
        home.run_with_input(&["acl", "set", key, "--json"], "[]")
            .json()["rules"],
        json!([])
    );
}

#[test]
fn what_is_no_rule_is_refused() {
    let home = Home::new();
    let app = home.run(&["app", "create", "shop", "--json"]).json();
    let key = app["app_key"].as_str().unwrap();
    let add = |effect, topic| home.run(&["acl", "add", key, effect, "all", topic]);
    assert_eq!(
        add("allow", "a/%x").error(),
        r#"rule 1 with topic "a/%x" is not usable: %x is no placeholder: there are %a, %u, %c, and %% for a percent sign"#
    );
    assert!(add("allow", "$im/#").error().contains("begin with $"));
    let usage = add("permit", "a");
    assert_eq!(usage.code, 2);
    assert!(
        usage.stderr.contains("must be allow or deny"),
        "{}",
        usage.stderr
    );
    assert_eq!(
        home.run(&["acl", "remove", key, "1"]).error(),
        "the app has no rule 1: it has 0"
    );
    let unknown = r#"[{"effect":"allow","action":"all","topic":"a","app":"x"}]"#;
    let misspelt = r#"{"rules":[{"number":1,"effect":"allow","action":"all","topik":"a"}]}"#;
    for input in ["", "{}", r#"{"rules":1}"#, misspelt, unknown] {
        let error = home.run_with_input(&["acl", "set", key], input).error();
        assert!(
            error.starts_with("standard input is no JSON array of rules"),
            "{error}"
        );
    }
    let nobody = "0".repeat(24);
    for args in [&["list"][..], &["remove"], &["set"]] {
        let number: &[&str] = if args == ["remove"] { &["1"] } else { &[] };
        let args = [&["acl"], args, &[&*nobody], number].concat();
        let error = home.run_with_input(&args, "[]").error();
        assert_eq!(error, format!("there is no app {nobody}"));
    }
}
