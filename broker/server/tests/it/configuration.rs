use std::process::Stdio;

use crate::support::Home;

#[test]
fn the_merged_configuration_is_shown_without_secrets() {
    let home = Home::new();
    home.configure(
        "[database]\nurl = 'postgres://u:hush@db/p?password=hush'\n[limits]\nin_flight = 7",
    );
    let text = home.run(&["config", "show"]).ok();
    let shown: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(
        shown["database"]["url"].as_str(),
        Some("postgres://u:***@db/p?password=***")
    );
    assert_eq!(
        shown["limits"]["in_flight"].as_integer(),
        Some(7),
        "the file"
    );
    assert_eq!(
        shown["limits"]["subscriptions"].as_integer(),
        Some(1024),
        "the default"
    );
    assert_eq!(
        shown["plugins"]["im"]["sends_per_minute"].as_integer(),
        Some(60)
    );

    let json = home.run(&["config", "show", "--json"]).json();
    assert_eq!(
        json["database"]["url"],
        "postgres://u:***@db/p?password=***"
    );
    assert!(!json.to_string().contains("hush"));
}

#[test]
fn the_environment_goes_before_the_file_and_a_named_file_in_place_of_it() {
    let home = Home::new();
    home.configure("[limits]\nin_flight = 7\nsubscriptions = 8");
    let mut command = home.command(&["config", "show", "--json"]);
    command.env("PARTYLINE__LIMITS__IN_FLIGHT", "9");
    command.env("PARTYLINE__PLUGINS__ENABLED", r#"["acl"]"#);
    command.env("PARTYLINE__PLUGINS__ACCOUNTS__PASSWORDS__PASSES", "3");
    let shown: serde_json::Value =
        serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(shown["limits"]["in_flight"], 9);
    assert_eq!(shown["limits"]["subscriptions"], 8);
    assert_eq!(shown["plugins"]["enabled"], serde_json::json!(["acl"]));
    assert_eq!(shown["plugins"]["accounts"]["passwords"]["passes"], 3);

    let other = home.path().join("other.toml");
    std::fs::write(&other, "[limits]\nin_flight = 11").unwrap();
    let shown = home
        .run(&[
            "config",
            "show",
            "--json",
            "--config",
            other.to_str().unwrap(),
        ])
        .json();
    assert_eq!(shown["limits"]["in_flight"], 11);
    assert_eq!(shown["limits"]["subscriptions"], 1024);
}

#[test]
fn faults_name_file_and_key() {
    let home = Home::new();
    let file = home.path().join("partyline.toml");
    let file = file.to_str().unwrap();
    for (text, start) in [
        (
            "[mqtt]\nlistn = 1",
            format!("unknown key mqtt.listn in {file}; "),
        ),
        (
            "[plugins.im]\nsend = 1",
            format!("unknown key plugins.im.send in {file}; "),
        ),
        (
            "[plugins.rest]",
            format!("unknown plugin table plugins.rest in {file}; "),
        ),
        (
            "plugins.enabled = ['rest']",
            format!("unknown plugin \"rest\" in plugins.enabled in {file}; "),
        ),
        ("[http]\nlisten = 'x'", format!("http.listen in {file}: ")),
        ("[http", format!("{file}, line 1, column ")),
    ] {
        home.configure(text);
        for args in [&["serve"][..], &["app", "list"], &["config", "show"]] {
            let error = home.run(args).error();
            assert!(error.starts_with(&start), "{text}: {error}");
        }
    }
    let error = home
        .run(&["config", "show", "--config", "/nowhere.toml"])
        .error();
    assert!(error.starts_with("cannot read /nowhere.toml: "), "{error}");
}

#[test]
fn faults_name_the_variable() {
    let home = Home::new();
    home.configure("[limits]\nin_flight = 7");
    for (name, value, start) in [
        (
            "PARTYLINE__NONSENSE",
            "1",
            "unknown key nonsense in environment variable PARTYLINE__NONSENSE; ",
        ),
        (
            "PARTYLINE__MQTT__LISTN",
            "1",
            "unknown key mqtt.listn in environment variable PARTYLINE__MQTT__LISTN; ",
        ),
        (
            "PARTYLINE__PLUGINS__IM",
            "{send=1}",
            "unknown key plugins.im.send in environment variable PARTYLINE__PLUGINS__IM; ",
        ),
        (
            "PARTYLINE__PLUGINS__REST__X",
            "1",
            "unknown plugin table plugins.rest in environment variable PARTYLINE__PLUGINS__REST__X; ",
        ),
        (
            "PARTYLINE__LIMITS__IN_FLIGHT",
            "many",
            "limits.in_flight in environment variable PARTYLINE__LIMITS__IN_FLIGHT: ",
        ),
        (
            "PARTYLINE__PLUGINS__ENABLED",
            "[\"rest\"]",
            "unknown plugin \"rest\" in plugins.enabled in environment variable PARTYLINE__PLUGINS__ENABLED; ",
        ),
        (
            "PARTYLINE__",
            "1",
            "environment variable PARTYLINE__ names no key",
        ),
        (
            "PARTYLINE__MQTT__",
            "1",
            "environment variable PARTYLINE__MQTT__ names no key",
        ),
    ] {
        let mut command = home.command(&["config", "show"]);
        let output = command.env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with(&format!("error: {start}")), "{error}");
    }
}

#[test]
fn a_value_of_another_kind_is_told_in_plain_words() {
    let home = Home::new();
    for (text, error) in [
        (
            "[limits]\nin_flight = 'many'",
            ": found string \"many\" where a whole number from 0 to 65535 must stand",
        ),
        (
            "[limits]\nsubscriptions = -1",
            ": found signed int `-1` where a whole number from 0 must stand",
        ),
        (
            "[mqtt]\nwills_on_stop = 1",
            ": found signed int `1` where true or false must stand",
        ),
    ] {
        home.configure(text);
        let told = home.run(&["config", "show"]).error();
        assert!(told.ends_with(error), "{told}");
    }
}

#[test]
fn the_admin_token_is_shown_to_nobody() {
    let home = Home::new();
    home.configure("[http]\nadmin_token = 'hush-hush-hush-hush'");
    let text = home.run(&["config", "show"]).ok();
    assert!(
        text.contains("admin_token = \"***\"") && !text.contains("hush"),
        "{text}"
    );
    for wrong in ["'hush'", "12345678901234567890", "'hush hush hush hush'"] {
        home.configure(&format!("[http]\nadmin_token = {wrong}"));
        let error = home.run(&["config", "show"]).error();
        assert!(error.starts_with("http.admin_token in "), "{error}");
        assert!(
            !error.contains("hush") && !error.contains("1234"),
            "{error}"
        );
    }
}

/// As of `partyline config show | head -1`, where nobody waits for the rest.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::new();
    for args in [&["config", "show"][..], &["config", "show", "--json"]] {
        let mut command = home.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command.stdout(writer).output().unwrap();
        assert_eq!(output.status.code(), Some(141));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    }
}

#[test]
fn errors_are_json_when_asked_for() {
    let home = Home::new();
    home.configure("[mqtt]\nlistn = 1");
    let ran = home.run(&["config", "show", "--json"]);
    assert_eq!((ran.code, &*ran.stdout), (1, ""));
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("unknown key mqtt.listn")
    );
    assert_eq!(error["error"]["causes"], serde_json::json!([]));
}
