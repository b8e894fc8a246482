//! The user name of a CONNECT: `{appkey}`, `{appkey}/{username}` or `{appkey}/$service`.

use partyline_protocol::{AppKey, Username};

/// Whom a connection says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectName {
    Device(AppKey),
    User(AppKey, Username),
    Server(AppKey),
    /// Begins with an app key, but names nobody who could exist.
    Nobody,
}

impl ConnectName {
    /// Reads a user name; `None` if it isn't of this plugin's form, so that another may judge it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (app, rest) = match name.split_once('/') {
            Some((app, rest)) => (app, Some(rest)),
            None => (name, None),
        };
        let app = AppKey::parse(app).ok()?;
        Some(match rest {
            None => Self::Device(app),
            Some("$service") => Self::Server(app),
            Some(user) => Username::parse(user).map_or(Self::Nobody, |user| Self::User(app, user)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "abcdefghijklmnopqrstuvwx";

    #[test]
    fn the_user_name_says_device_user_or_server() {
        let app = AppKey::parse(KEY).unwrap();
        let alice = Username::parse("alice").unwrap();
        let parse = ConnectName::parse;
        assert_eq!(parse(KEY), Some(ConnectName::Device(app.clone())));
        let user = Some(ConnectName::User(app.clone(), alice));
        assert_eq!(parse(&format!("{KEY}/alice")), user);
        assert_eq!(
            parse(&format!("{KEY}/$service")),
            Some(ConnectName::Server(app))
        );
        for nobody in ["", "al", "$Service", "alice/x", "-alice"] {
            let name = format!("{KEY}/{nobody}");
            assert_eq!(parse(&name), Some(ConnectName::Nobody), "{name}");
        }
        for other in ["", "alice", "alice/bob", "/alice", &KEY[1..]] {
            assert_eq!(parse(other), None, "{other}");
        }
    }

    #[test]
    fn the_app_key_is_case_insensitive() {
        let upper = KEY.to_uppercase();
        assert_eq!(ConnectName::parse(&upper), ConnectName::parse(KEY));
    }
}
