//! Which way dependencies may point between the folders of the workspace.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, Metadata};

use crate::lint::violation::Violation;

/// The codec is an implementation detail of the kernel.
const CODEC: &str = "rmqtt-codec";
const CODEC_OWNER: &str = "broker/core";

pub(super) fn check(metadata: &Metadata) -> Vec<Violation> {
    judge(&members(metadata))
}

/// A workspace member, as far as this rule cares.
struct Member {
    name: String,
    folder: String,
    dependencies: Vec<Dependency>,
}

struct Dependency {
    name: String,
    development: bool,
}

fn members(metadata: &Metadata) -> Vec<Member> {
    let packages = metadata.workspace_packages().into_iter();
    packages
        .map(|package| {
            let folder = package
                .manifest_path
                .strip_prefix(&metadata.workspace_root)
                .ok()
                .and_then(|manifest| manifest.parent())
                .map_or_else(|| package.manifest_path.to_string(), ToString::to_string);
            let dependencies = package.dependencies.iter().map(|dependency| Dependency {
                name: dependency.name.clone(),
                development: dependency.kind == DependencyKind::Development,
            });
            Member {
                name: package.name.to_string(),
                folder,
                dependencies: dependencies.collect(),
            }
        })
        .collect()
}

fn judge(members: &[Member]) -> Vec<Violation> {
    let folders: BTreeMap<&str, &str> = members
        .iter()
        .map(|member| (member.name.as_str(), member.folder.as_str()))
        .collect();
    let mut violations = Vec::new();
    for member in members {
        let manifest = format!("{}/Cargo.toml", member.folder);
        if !has_rule(&member.folder) {
            let detail = format!("no rule says what {} may depend on", member.folder);
            violations.push(Violation::new(&manifest, "direction", detail));
            continue;
        }
        for dependency in &member.dependencies {
            if dependency.name == CODEC && member.folder != CODEC_OWNER {
                let detail = format!("only {CODEC_OWNER} may depend on {CODEC}");
                violations.push(Violation::new(&manifest, "direction", detail));
            }
            let Some(target) = folders.get(dependency.name.as_str()) else {
                continue;
            };
            let allowed = if dependency.development {
                may_test_with(&member.folder, target)
            } else {
                may_depend_on(&member.folder, target)
            };
            if !allowed {
                let kind = if dependency.development {
                    "dev-depend"
                } else {
                    "depend"
                };
                let detail = format!("{} may not {kind} on {target}", member.folder);
                violations.push(Violation::new(&manifest, "direction", detail));
            }
        }
    }
    violations
}

fn has_rule(folder: &str) -> bool {
    let under = ["protocol/", "plugins/", "tests/", "examples/"];
    under.iter().any(|prefix| folder.starts_with(prefix))
        || matches!(folder, "broker/core" | "broker/server")
}

/// For normal and build dependencies: what ships.
fn may_depend_on(from: &str, to: &str) -> bool {
    match from {
        "plugins/sdk" => to == "protocol/wire",
        "plugins/testkit" => {
            matches!(to, "plugins/sdk" | "broker/core") || to.starts_with("protocol/")
        }
        "broker/core" => to == "plugins/sdk" || to.starts_with("protocol/"),
        "broker/server" => !to.starts_with("tests/"),
        _ if from.starts_with("protocol/") => to.starts_with("protocol/"),
        _ if from.starts_with("plugins/") => to == "plugins/sdk" || to.starts_with("protocol/"),
        _ => from.starts_with("tests/") || from.starts_with("examples/"),
    }
}

/// For dev-dependencies: plugins meet the broker only through the testkit, all others are free.
fn may_test_with(from: &str, to: &str) -> bool {
    let confined = from.starts_with("plugins/") && from != "plugins/testkit";
    !confined || to.starts_with("plugins/") || to.starts_with("protocol/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph() -> Vec<Member> {
        let folders = [
            ("wire", "protocol/wire"),
            ("client", "protocol/client"),
            ("sdk", "plugins/sdk"),
            ("testkit", "plugins/testkit"),
            ("im", "plugins/im"),
            ("accounts", "plugins/accounts"),
            ("core", "broker/core"),
            ("server", "broker/server"),
            ("system", "tests/system"),
            ("lesson", "examples/lesson"),
        ];
        let member = |(name, folder): (&str, &str)| Member {
            name: name.to_owned(),
            folder: folder.to_owned(),
            dependencies: Vec::new(),
        };
        folders.into_iter().map(member).collect()
    }

    /// The violations when `from` depends on `to`, as text.
    fn with_edge(from: &str, to: &str, development: bool) -> Vec<String> {
        let mut members = graph();
        let member = members
            .iter_mut()
            .find(|member| member.name == from)
            .unwrap();
        member.dependencies.push(Dependency {
            name: to.to_owned(),
            development,
        });
        judge(&members).iter().map(ToString::to_string).collect()
    }

    fn normal(from: &str, to: &str) -> bool {
        with_edge(from, to, false).is_empty()
    }

    fn development(from: &str, to: &str) -> bool {
        with_edge(from, to, true).is_empty()
    }

    #[test]
    fn the_arrows_of_the_architecture_hold() {
        let arrows = [
            ("client", "wire"),
            ("sdk", "wire"),
            ("im", "sdk"),
            ("im", "wire"),
            ("testkit", "core"),
            ("testkit", "sdk"),
            ("core", "sdk"),
            ("core", "wire"),
            ("server", "core"),
            ("server", "im"),
            ("system", "server"),
            ("lesson", "testkit"),
        ];
        for (from, to) in arrows {
            assert!(normal(from, to), "{from} -> {to} must be allowed");
        }
    }

    #[test]
    fn arrows_against_the_direction_are_refused() {
        let arrows = [
            ("wire", "sdk"),
            ("client", "core"),
            ("sdk", "client"),
            ("sdk", "core"),
            ("testkit", "im"),
            ("testkit", "server"),
            ("im", "accounts"),
            ("im", "testkit"),
            ("im", "core"),
            ("core", "im"),
            ("core", "server"),
            ("core", "testkit"),
            ("server", "system"),
        ];
        for (from, to) in arrows {
            assert!(!normal(from, to), "{from} -> {to} must be refused");
        }
    }

    #[test]
    fn tests_of_a_plugin_may_use_plugins_but_not_the_broker() {
        assert!(development("im", "testkit"));
        assert!(development("im", "accounts"));
        assert!(!development("im", "core"));
        assert!(!development("im", "server"));
        assert!(development("core", "testkit"));
    }

    #[test]
    fn only_the_kernel_names_the_codec() {
        assert!(normal("core", CODEC));
        assert!(!normal("im", CODEC));
        assert!(!normal("server", CODEC));
        assert!(!development("system", CODEC));
    }

    #[test]
    fn crates_outside_the_workspace_are_not_our_business() {
        assert!(normal("wire", "serde"));
    }

    #[test]
    fn a_violation_names_manifest_and_both_ends() {
        assert_eq!(
            with_edge("im", "core", false),
            ["plugins/im/Cargo.toml: [direction] plugins/im may not depend on broker/core"]
        );
    }

    #[test]
    fn a_folder_without_a_rule_is_reported() {
        let stray = Member {
            name: "stray".to_owned(),
            folder: "tools/stray".to_owned(),
            dependencies: Vec::new(),
        };
        assert_eq!(judge(&[stray]).len(), 1);
    }
}
