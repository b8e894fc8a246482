//! Who owns which `$` topics: checked once, before anything is served.

use std::collections::HashSet;

use partyline_plugin::host::Registrations;
use partyline_plugin::protocol::{TopicLimits, TopicName};

use super::HostError;

/// Where each plugin may have the level that is its id, without asking anybody.
const SHARED: &str = "$x/";

/// Whether a topic or a namespace lies in a namespace, level by level: `$a/b` and `$a/b/` hold
/// `$a/b/c`, and not `$a/bc`.
pub(super) fn holds(namespace: &str, topic: &str) -> bool {
    let rest = topic.strip_prefix(namespace);
    rest.is_some_and(|rest| rest.is_empty() || namespace.ends_with('/') || rest.starts_with('/'))
}

/// Whether a plugin may be called so: by its id it has tables, metrics and log lines, and no two ids
/// may make the same name of them.
pub(super) fn is_id(id: &str) -> bool {
    id.len() <= 40
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && id
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Fails if a namespace overlaps another without leave or lies in another plugin's part of `$x/`,
/// or a plugin declares a topic twice or one that is not its own. A reply topic may also be nobody's,
/// or that of who gave the plugin the command's namespace, which need not be there.
pub(super) fn check(declared: &[(&'static str, Registrations)]) -> Result<(), HostError> {
    let owned: Vec<(&str, &str)> = declared
        .iter()
        .flat_map(|(plugin, one)| one.namespaces.iter().map(move |n| (*plugin, n.prefix)))
        .collect();
    for (index, (plugin, prefix)) in owned.iter().enumerate() {
        if !prefix.starts_with('$') {
            let why = format!("{prefix} does not begin with $");
            return Err(HostError::namespace(plugin, why));
        }
        let level = prefix.strip_prefix(SHARED);
        let level = level.map(|rest| rest.split('/').next().unwrap_or_default());
        if let Some(level) = level
            && level != *plugin
            && !delegates(declared, level, prefix, plugin)
        {
            let why = format!("under {SHARED} it may have {SHARED}{plugin}/, not {prefix}");
            return Err(HostError::namespace(plugin, why));
        }
        for (other, outer) in owned
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != index)
            .map(|(_, o)| o)
        {
            let overlaps = holds(outer, prefix) && plugin != other;
            if overlaps && (prefix == outer || !delegates(declared, other, prefix, plugin)) {
                let why = format!("{prefix} lies in {outer} of `{other}`, which did not give it");
                return Err(HostError::namespace(plugin, why));
            }
        }
    }
    let owner_of = |topic: &str| {
        owned
            .iter()
            .filter(|(_, prefix)| holds(prefix, topic))
            .max_by_key(|(_, prefix)| prefix.len())
            .map(|(owner, _)| *owner)
    };
    for (plugin, one) in declared {
        let topics = one.commands.iter().map(|command| command.topic);
        for topic in topics.chain(one.outlets.iter().map(|outlet| outlet.topic)) {
            if TopicName::parse(topic, &TopicLimits::MQTT).is_err() {
                return Err(HostError::namespace(plugin, format!("{topic} is no topic")));
            }
            if owner_of(topic) != Some(plugin) {
                return Err(HostError::namespace(
                    plugin,
                    format!("{topic} is not in its namespaces"),
                ));
            }
        }
        for command in &one.commands {
            let (topic, reply) = (command.topic, command.reply_topic);
            let is_topic = TopicName::parse(reply, &TopicLimits::MQTT).is_ok();
            let may = match owner_of(reply) {
                Some(owner) => owner == *plugin || delegates(declared, owner, topic, plugin),
                None => reply.starts_with('$') && !holds(SHARED, reply),
            };
            if !is_topic || !may {
                let why = format!("{topic} cannot be answered on {reply}, which is not its own");
                return Err(HostError::namespace(plugin, why));
            }
        }
        let commands: Vec<_> = one.commands.iter().map(|command| command.topic).collect();
        let outlets: Vec<_> = one.outlets.iter().map(|outlet| outlet.topic).collect();
        for (what, topics) in [("command", commands), ("outlet", outlets)] {
            if let Some(topic) = repeated(&topics) {
                let why = format!("the {what} {topic} is declared twice");
                return Err(HostError::namespace(plugin, why));
            }
        }
    }
    Ok(())
}

fn repeated<'a>(topics: &[&'a str]) -> Option<&'a str> {
    let mut known = HashSet::new();
    topics.iter().copied().find(|topic| !known.insert(*topic))
}

/// Whether `owner`, or whoever it gave the part to, gave `prefix` to `plugin`.
fn delegates(
    declared: &[(&'static str, Registrations)],
    owner: &str,
    prefix: &str,
    plugin: &str,
) -> bool {
    let of = |name: &str| {
        declared
            .iter()
            .find(|(one, _)| *one == name)
            .map(|(_, one)| one)
    };
    of(owner).is_some_and(|owner| {
        owner.delegations.iter().any(|given| {
            holds(given.prefix, prefix)
                && (given.to == plugin
                    || of(given.to).is_some_and(|middle| {
                        let parts = &middle.delegations;
                        parts
                            .iter()
                            .any(|part| part.to == plugin && holds(part.prefix, prefix))
                    }))
        })
    })
}

#[cfg(test)]
mod tests {
    use partyline_plugin::services::Services;
    use partyline_plugin::{Audience, Qos, Registrar};

    use super::*;

    fn declared(
        plugin: &'static str,
        declare: fn(&mut Registrar),
    ) -> (&'static str, Registrations) {
        let mut registrar = Registrar::new(plugin, Services::default());
        declare(&mut registrar);
        (plugin, registrar.finish())
    }

    #[test]
    fn overlap_needs_a_delegation() {
        let im = declared("im", |r| {
            r.owns("$im/");
        });
        let thief = declared("thief", |r| {
            r.owns("$im/session/");
        });
        let error = check(&[im, thief]).unwrap_err();
        assert!(error.to_string().contains("$im/session/"), "{error}");
        let im = declared("im", |r| {
            r.owns("$im/").delegates("$im/session/", "accounts");
        });
        let accounts = declared("accounts", |r| {
            r.owns("$im/session/");
        });
        assert!(check(&[im, accounts]).is_ok());
    }

    #[test]
    fn a_part_may_be_given_back() {
        let im = declared("im", |r| {
            r.owns("$im/")
                .delegates("$im/session/", "accounts")
                .owns("$im/session/configure");
        });
        let accounts = declared("accounts", |r| {
            r.owns("$im/session/")
                .delegates("$im/session/configure", "im");
        });
        assert!(check(&[im, accounts]).is_ok());
    }

    #[test]
    fn the_same_prefix_has_one_owner() {
        let one = declared("one", |r| {
            r.owns("$x/");
        });
        let two = declared("two", |r| {
            r.owns("$x/");
        });
        assert!(check(&[one, two]).is_err());
    }

    #[test]
    fn a_namespace_ends_where_its_level_ends() {
        for (namespace, topic, holds_it) in [
            ("$im/", "$im/session/hello", true),
            ("$im", "$im", true),
            ("$im", "$im/session", true),
            ("$im", "$impostor", false),
            ("$im/a", "$im/ab", false),
            ("$im/", "$im", false),
        ] {
            assert_eq!(holds(namespace, topic), holds_it, "{namespace} {topic}");
        }
        let one = declared("one", |r| {
            r.owns("$im/a");
        });
        let two = declared("two", |r| {
            r.owns("$im/ab");
        });
        assert!(check(&[one, two]).is_ok());
        let outlet = declared("one", |r| {
            r.owns("$im/a")
                .outlet("$im/ab", Qos::AtMostOnce, Audience::Devices, None);
        });
        assert!(check(&[outlet]).is_err());
    }

    #[test]
    fn a_plugin_has_its_own_level_of_the_shared_namespace() {
        let own = |r: &mut Registrar| {
            r.owns("$x/guest/");
        };
        assert!(check(&[declared("guest", own)]).is_ok());
        let error = check(&[declared("thief", own)]).unwrap_err();
        assert!(error.to_string().contains("$x/thief/"), "{error}");
        let all = declared("x", |r| {
            r.owns("$x/");
        });
        assert!(check(&[all]).is_err());
        let host = declared("guest", |r| {
            r.owns("$x/guest/").delegates("$x/guest/friend/", "friend");
        });
        let friend = declared("friend", |r| {
            r.owns("$x/guest/friend/");
        });
        assert!(check(&[host, friend]).is_ok());
    }

    fn answering(r: &mut Registrar, topic: &'static str, reply: &'static str) {
        let plugin = std::sync::Arc::new(());
        r.command(topic, reply, &plugin, |_, _, (): ()| async { Ok(()) });
    }

    #[test]
    fn nobody_answers_on_anothers_topic() {
        let im = || {
            declared("im", |r| {
                r.owns("$im/").delegates("$im/session/", "accounts");
                answering(r, "$im/send", "$im/reply");
            })
        };
        let accounts = declared("accounts", |r| {
            r.owns("$im/session/");
            answering(r, "$im/session/login", "$im/reply");
        });
        assert!(check(&[im(), accounts]).is_ok());
        let alone = declared("accounts", |r| {
            r.owns("$im/session/");
            answering(r, "$im/session/login", "$im/reply");
        });
        assert!(check(&[alone]).is_ok(), "nobody's topic");
        for reply in ["$im/reply", "$x/other/reply", "news", "", "$x/guest/+"] {
            let mut registrar = Registrar::new("guest", Services::default());
            registrar.owns("$x/guest/");
            answering(&mut registrar, "$x/guest/do", reply);
            let error = check(&[im(), ("guest", registrar.finish())]).unwrap_err();
            assert!(error.to_string().contains("$x/guest/do"), "{error}");
        }
    }

    #[test]
    fn an_id_is_one_word() {
        for id in ["a", "im", "topic-rewrite", "v2"] {
            assert!(is_id(id), "{id}");
        }
        let long = "x".repeat(41);
        for id in ["", "a_b", "A", "2", "-a", "a b", "a/b", "ä", "$SYS", &long] {
            assert!(!is_id(id), "{id}");
        }
    }

    #[test]
    fn a_command_or_an_outlet_is_declared_once() {
        let command = |r: &mut Registrar| {
            let plugin = std::sync::Arc::new(());
            let answer = |_, _, (): ()| async { Ok(()) };
            r.command("$im/x", "$im/reply", &plugin, answer);
        };
        let outlet = |r: &mut Registrar| {
            r.outlet("$im/y", Qos::AtLeastOnce, Audience::Devices, None);
        };
        for (declare, topic) in [
            (command as fn(&mut Registrar), "$im/x"),
            (outlet as fn(&mut Registrar), "$im/y"),
        ] {
            let mut registrar = Registrar::new("im", Services::default());
            registrar.owns("$im/");
            declare(&mut registrar);
            assert!(check(&[("im", registrar.finish())]).is_ok());
            let mut registrar = Registrar::new("im", Services::default());
            registrar.owns("$im/");
            declare(&mut registrar);
            declare(&mut registrar);
            let error = check(&[("im", registrar.finish())]).unwrap_err();
            assert!(error.to_string().contains(topic), "{error}");
        }
    }

    #[test]
    fn an_outlet_needs_its_namespace() {
        let im = declared("im", |r| {
            r.owns("$im/")
                .outlet("$push/message", Qos::AtLeastOnce, Audience::Devices, None);
        });
        assert!(check(&[im]).is_err());
    }
}
