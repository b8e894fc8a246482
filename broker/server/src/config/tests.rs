use serde::Serialize;
use serde_json::Value;

use super::*;

fn load(text: &str, flags: &ServeArgs) -> Result<Config, ConfigError> {
    let file = Place::File(PathBuf::from("/etc/p.toml"));
    let layers = [
        Layer::text(Place::Defaults, DEFAULTS),
        Layer::text(file, text),
    ];
    let mut layers = layers.into_iter().collect::<Result<Vec<_>, _>>()?;
    layers.push(Layer::flags(flags));
    Config::merge(&Catalogue::default(), layers)
}

fn refused(text: &str) -> String {
    load(text, &ServeArgs::default()).unwrap_err().to_string()
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn values_that_do_not_go_together_are_refused_with_key_and_file() {
    for (text, error) in [
        (
            "[limits]\nin_flight = 0",
            "limits.in_flight in /etc/p.toml: must be above 0",
        ),
        (
            "[limits]\npacket_bytes = 10",
            "limits.packet_bytes in /etc/p.toml: 10 is below the least, 512",
        ),
        (
            "[limits]\ntopic_levels = 0",
            "limits.topic_levels in /etc/p.toml: must be above 0",
        ),
        (
            "[limits]\nqueued_bytes = 9",
            "limits.queued_bytes in /etc/p.toml: 9 is below limits.packet_bytes, which is 262144",
        ),
        (
            "[mqtt]\nserver_keep_alive = 60\nmax_keep_alive = 30",
            "mqtt.max_keep_alive in /etc/p.toml: 30 is below mqtt.server_keep_alive, which is 60",
        ),
        (
            "[mqtt]\nresponse_information = '$im/%c'",
            "mqtt.response_information in /etc/p.toml: must be a topic without wildcards that does not begin with $",
        ),
        (
            "[mqtt]\ntls_listen = '127.0.0.1:0'",
            "mqtt.tls_listen in /etc/p.toml: needs [mqtt.tls] with cert and key, which is not set",
        ),
    ] {
        assert_eq!(refused(text), error);
    }
    let flags = ServeArgs {
        mqtts: Some(([127, 0, 0, 1], 0).into()),
        ..ServeArgs::default()
    };
    let error = load("", &flags).unwrap_err().to_string();
    assert!(
        error.starts_with("mqtt.tls_listen in the command line"),
        "{error}"
    );
}

/// The default configuration, once from the code and once from the file.
fn tables() -> Vec<(&'static str, Value, Value)> {
    let config = load("", &ServeArgs::default()).unwrap();
    let settings = Settings::default();
    let plugin = |key| config.figment.extract_inner::<Value>(key).unwrap();
    vec![
        (
            "database",
            json(settings.database),
            json(DatabaseUrl {
                url: &config.database_url,
            }),
        ),
        ("mqtt", json(settings.mqtt), json(&config.broker.mqtt)),
        ("http", json(settings.http), json(&config.broker.http)),
        ("limits", json(settings.limits), json(&config.broker.limits)),
        ("log", json(settings.log), json(&config.log)),
        (
            "plugins.accounts",
            json(partyline_accounts::Config::default()),
            plugin("plugins.accounts"),
        ),
        (
            "plugins.acl",
            json(partyline_acl::AclConfig::default()),
            plugin("plugins.acl"),
        ),
        (
            "plugins.im",
            json(partyline_im::ImConfig::default()),
            plugin("plugins.im"),
        ),
    ]
}

#[derive(Serialize)]
struct DatabaseUrl<'a> {
    url: &'a str,
}

#[test]
fn the_default_file_says_what_the_code_does() {
    for (table, code, file) in tables() {
        assert_eq!(code, file, "{table}");
    }
}

#[test]
fn the_default_file_names_every_key() {
    for (table, code, _) in tables() {
        assert_named(table, &code);
    }
}

/// Keys stand under their table's header, what is off by default behind a `#`.
fn assert_named(table: &str, code: &Value) {
    let header = format!("\n[{table}]\n");
    let own = DEFAULTS.split(&header).nth(1).unwrap_or_default();
    let own = own.split("\n[").next().unwrap_or_default();
    for (key, default) in code.as_object().unwrap() {
        match default {
            Value::Object(_) => assert_named(&format!("{table}.{key}"), default),
            Value::Null => {
                let names = [format!("\n# {key} = "), format!("\n# [{table}.{key}]\n")];
                assert!(names.iter().any(|name| own.contains(name)), "{table}.{key}");
            }
            _ => assert!(own.contains(&format!("\n{key} = ")), "{table}.{key}"),
        }
    }
}

/// Whether the line sets a key, be it behind a `#`.
fn sets_key(line: &str) -> bool {
    let name = line.trim_start_matches("# ").split(" = ").next();
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    line.contains(" = ") && name.is_some_and(is_name)
}

#[test]
fn every_key_of_the_default_file_has_a_comment() {
    let lines: Vec<&str> = DEFAULTS.lines().collect();
    for pair in lines.windows(2).filter(|pair| sets_key(pair[1])) {
        assert!(pair[0].starts_with("# "), "{}", pair[1]);
    }
}

#[test]
fn what_is_commented_out_would_work() {
    let uncomment = |line: &'static str| {
        let bare = line.trim_start_matches("# ");
        let commented = bare == "[mqtt.tls]" || (sets_key(line) && line.ends_with('"'));
        if commented { bare } else { line }
    };
    let text: Vec<&str> = DEFAULTS.lines().map(uncomment).collect();
    let mqtt = load(&text.join("\n"), &ServeArgs::default())
        .unwrap()
        .broker
        .mqtt;
    assert!(mqtt.tls.is_some() && mqtt.tls_listen.is_some() && mqtt.anonymous_app.is_some());
    assert!(mqtt.response_information.is_some());
}

#[test]
fn later_sources_go_first() {
    let flags = ServeArgs {
        ws: Some(([127, 0, 0, 1], 9).into()),
        ..ServeArgs::default()
    };
    let text = "mqtt.listen = '127.0.0.1:7'\nmqtt.ws_listen = '127.0.0.1:8'";
    let config = load(text, &flags).unwrap();
    assert_eq!(config.broker.mqtt.listen.port(), 7, "the file");
    assert_eq!(config.broker.mqtt.ws_listen.port(), 9, "the flag");
    assert_eq!(config.broker.http.listen.port(), 8080, "the default");
}

#[test]
fn unknown_keys_are_named_with_their_file() {
    for (text, key) in [
        ("nonsense = 1", "nonsense"),
        ("[nonsense]\nx = 1", "nonsense"),
        ("[database]\nuri = ''", "database.uri"),
        ("[mqtt]\nlistn = 1", "mqtt.listn"),
        ("[mqtt.tls]\ncert = ''\nkey = ''\nca = ''", "mqtt.tls.ca"),
        ("[http]\nport = 1", "http.port"),
        ("[limits]\nx = 1", "limits.x"),
        ("[log]\nlevel = 'info'", "log.level"),
        ("[plugins.im]\nx = 1", "plugins.im.x"),
        (
            "[plugins.accounts.passwords]\nx = 1",
            "plugins.accounts.passwords.x",
        ),
        ("[plugins.acl]\nrule = []", "plugins.acl.rule"),
        (
            "[[plugins.acl.rules]]\neffect = 'deny'\naction = 'all'\ntopic = 'a'\nx = 1",
            "plugins.acl.rules.0.x",
        ),
    ] {
        let error = refused(text);
        let start = format!("unknown key {key} in /etc/p.toml; expected ");
        assert!(error.starts_with(&start), "{text}: {error}");
    }
}

#[test]
fn unknown_plugins_are_named() {
    let known = "the plugins are accounts, acl, im";
    assert_eq!(
        refused("[plugins.rest]\nx = 1"),
        format!("unknown plugin table plugins.rest in /etc/p.toml; {known}")
    );
    assert_eq!(
        refused("plugins.enabled = ['acl', 'rest']"),
        format!("unknown plugin \"rest\" in plugins.enabled in /etc/p.toml; {known}")
    );
    assert_eq!(
        refused("plugins.enabled = ['acl', 'acl']"),
        "plugin \"acl\" stands twice in plugins.enabled in /etc/p.toml"
    );
    assert_eq!(
        load(
            "plugins.enabled = ['im', 'accounts']",
            &ServeArgs::default()
        )
        .unwrap()
        .enabled,
        ["im", "accounts"]
    );
}

#[test]
fn a_table_of_a_plugin_that_is_off_is_checked_too() {
    let error = refused("plugins.enabled = []\n[plugins.im]\nx = 1");
    assert!(
        error.starts_with("unknown key plugins.im.x in /etc/p.toml"),
        "{error}"
    );
}

#[test]
fn wrong_values_are_named_with_their_file() {
    for (text, key) in [
        ("[mqtt]\nlisten = 'here'", "mqtt.listen"),
        ("[mqtt]\nanonymous_app = 'short'", "mqtt.anonymous_app"),
        ("[limits]\nin_flight = 100000", "limits.in_flight"),
        ("[log]\nformat = 'xml'", "log.format"),
        ("[mqtt.tls]\ncert = 'c'", "mqtt.tls"),
        ("plugins.enabled = 'acl'", "plugins.enabled"),
        (
            "[plugins.im]\nsends_per_minute = -1",
            "plugins.im.sends_per_minute",
        ),
        (
            "[plugins.accounts.failures]\naddress_burst = 0",
            "plugins.accounts.failures.address_burst",
        ),
        (
            "[[plugins.acl.rules]]\neffect = 'permit'\naction = 'all'\ntopic = 'a'",
            "plugins.acl.rules.0.effect",
        ),
    ] {
        let error = refused(text);
        assert!(
            error.starts_with(&format!("{key} in /etc/p.toml: ")),
            "{text}: {error}"
        );
    }
}

#[test]
fn errors_do_not_show_secrets() {
    let error = refused("[database]\nurl = 'postgres://u:hush@h/d");
    assert!(error.starts_with("/etc/p.toml, line 2, column "), "{error}");
    assert!(!error.contains("hush"), "{error}");
    let error = refused("[database]\nurl = ['hush']");
    assert!(
        error.starts_with("database.url in /etc/p.toml: "),
        "{error}"
    );
    assert!(!error.contains("hush"), "{error}");
}
