use crate::support::Home;

#[test]
fn help_names_every_command() {
    let help = Home::new().run(&["--help"]).ok();
    for word in [
        "serve", "app", "user", "config", "--data", "--config", "--json", "--mqtts",
    ] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let help = Home::new().run(&["app", "--help"]).ok();
    for word in ["create", "list", "rotate", "registration", "delete"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    let help = Home::new().run(&["user", "--help"]).ok();
    for word in ["add", "disable", "enable", "delete", "password"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    assert!(
        Home::new()
            .run(&["--version"])
            .ok()
            .starts_with("partyline ")
    );
}

#[test]
fn wrong_arguments_exit_with_2() {
    let home = Home::new();
    let ran = home.run(&["app", "rotate", "short"]);
    assert_eq!((ran.code, &*ran.stdout), (2, ""));
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);

    let ran = home.run(&["app", "rotate", "short", "--json"]);
    assert_eq!((ran.code, &*ran.stdout), (2, ""));
    let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
    assert!(
        error["error"]["message"]
            .as_str()
            .unwrap()
            .contains("appkey has 5 bytes"),
        "{error}"
    );
}
