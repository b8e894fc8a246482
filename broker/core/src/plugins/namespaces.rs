//! Who owns which `$` topics: checked once, before anything is served.

use std::collections::HashSet;

use partyline_plugin::host::Registrations;

use super::HostError;

/// Fails if a namespace overlaps another without leave, or a plugin declares a topic twice or one
/// that is not its own.
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
        for (other, outer) in owned
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != index)
            .map(|(_, o)| o)
        {
            let overlaps = prefix.starts_with(outer) && plugin != other;
            if overlaps && (prefix == outer || !delegates(declared, other, prefix, plugin)) {
                let why = format!("{prefix} lies in {outer} of `{other}`, which did not give it");
                return Err(HostError::namespace(plugin, why));
            }
        }
    }
    for (plugin, one) in declared {
        let topics = one.commands.iter().map(|command| command.topic);
        for topic in topics.chain(one.outlets.iter().map(|outlet| outlet.topic)) {
            let owner = owned
                .iter()
                .filter(|(_, prefix)| topic.starts_with(prefix))
                .max_by_key(|(_, prefix)| prefix.len());
            if owner.is_none_or(|(owner, _)| owner != plugin) {
                return Err(HostError::namespace(
                    plugin,
                    format!("{topic} is not in its namespaces"),
                ));
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
            prefix.starts_with(given.prefix)
                && (given.to == plugin
                    || of(given.to).is_some_and(|middle| {
                        let parts = &middle.delegations;
                        parts
                            .iter()
                            .any(|part| part.to == plugin && prefix.starts_with(part.prefix))
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
