//! What of the configuration is not for other eyes.

use figment::value::{Dict, Value};

/// Stands where a secret stood.
const HIDDEN: &str = "***";

/// Whether a key holds a secret, by its name.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    [
        "password",
        "passphrase",
        "secret",
        "token",
        "api_key",
        "apikey",
        "private_key",
        "credentials",
    ]
    .iter()
    .any(|word| key.contains(word))
        || key == "url"
}

/// Hides every secret in the table.
pub(super) fn redact(table: &mut Dict) {
    for (key, value) in table {
        redact_value(key, value);
    }
}

fn redact_value(key: &str, value: &mut Value) {
    match value {
        Value::Dict(_, table) => redact(table),
        Value::Array(_, values) => values.iter_mut().for_each(|value| redact_value(key, value)),
        Value::String(_, text) => {
            if let Some(shown) = redact_url(text) {
                *text = shown;
            } else if key != "url" && is_secret(key) && !text.is_empty() {
                HIDDEN.clone_into(text);
            }
        }
        _ => {}
    }
}

/// A URL without its password and its query's values, which may hold one as well; `None` if the
/// text is no URL.
fn redact_url(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (rest, query) = match rest.split_once('?') {
        // A raw `?` in a password must not bring its end to light.
        Some((rest, query)) if !query.contains('@') => (rest, Some(query)),
        _ => (rest, None),
    };
    // Up to the last `@`, since a password may hold one, or a `/`, though neither should be raw.
    let shown = match rest.rsplit_once('@') {
        Some((login, host)) => {
            let user = login.split_once(':').map_or(login, |(user, _)| user);
            let password = if login.contains(':') {
                format!(":{HIDDEN}")
            } else {
                String::new()
            };
            format!("{user}{password}@{host}")
        }
        None => rest.to_owned(),
    };
    let query = query.map(|query| {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((key, _)) if is_secret(key) => format!("{key}={HIDDEN}"),
            _ => pair.to_owned(),
        });
        format!("?{}", pairs.collect::<Vec<_>>().join("&"))
    });
    Some(format!("{scheme}://{shown}{}", query.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_hidden() {
        for (url, shown) in [
            ("postgres://u:hush@db/p", "postgres://u:***@db/p"),
            (
                "postgres://u:h@u/s:h@db:5432/p",
                "postgres://u:***@db:5432/p",
            ),
            ("postgres://u:hu?sh@db/p", "postgres://u:***@db/p"),
            ("postgres://u@db/p", "postgres://u@db/p"),
            (
                "postgres://db/p?user=u&password=hush&x=1",
                "postgres://db/p?user=u&password=***&x=1",
            ),
            (
                "postgres://u:hush@db/p?sslmode=require",
                "postgres://u:***@db/p?sslmode=require",
            ),
            ("sqlite://a/b.sqlite", "sqlite://a/b.sqlite"),
        ] {
            assert_eq!(redact_url(url).as_deref(), Some(shown), "{url}");
        }
        assert_eq!(redact_url("sqlite:a.sqlite"), None);
        assert!(
            !redact_url("postgres://u:hush@db/p?password=h@h")
                .unwrap()
                .contains("hush")
        );
    }

    #[test]
    fn secrets_are_known_by_their_keys() {
        let mut table: Dict = toml::from_str(
            r#"
            list = ["postgres://u:hush@db/p"]
            [plugins.x]
            client_secret = "hush"
            ApiKey = "hush"
            tokens = ["hush", "hush"]
            empty_password = ""
            name = "shown"
            [plugins.accounts.passwords]
            passes = 2
            "#,
        )
        .unwrap();
        redact(&mut table);
        let text = toml::to_string(&table).unwrap();
        assert!(!text.contains("hush"), "{text}");
        for kept in ["shown", "passes = 2", r#"empty_password = """#, "u:***@db"] {
            assert!(text.contains(kept), "{text}");
        }
    }
}
