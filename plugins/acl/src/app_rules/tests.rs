//! Lists in the database, on both kinds.

use partyline_testkit::{Backend, ScratchDatabase};

use super::*;

const APP: &str = "0123456789abcdef01234567";
const OTHER_APP: &str = "76543210fedcba9876543210";

fn rule(topic: &str) -> AppRule {
    AppRule {
        effect: Effect::Allow,
        action: Action::All,
        topic: topic.to_owned(),
        user: None,
    }
}

fn topics(rules: &[AppRule]) -> Vec<&str> {
    rules.iter().map(|rule| rule.topic.as_str()).collect()
}

/// Runs a test on an empty database with the plugin's tables.
async fn on<F: Future<Output = ()>>(backend: Backend, test: impl FnOnce(AppRules) -> F) {
    let with_tables = async |database: Database| {
        database.migrate("acl", store::MIGRATIONS).await.unwrap();
        test(AppRules::new(database)).await;
    };
    ScratchDatabase::run(backend, with_tables).await.unwrap();
}

async fn lists_are_kept_in_order(rules: AppRules) {
    let app = AppKey::parse(APP).unwrap();
    assert_eq!(rules.list(&app).await.unwrap(), []);
    for (topic, at) in [
        ("b", None),
        ("d", None),
        ("a", Some(1)),
        ("c", Some(3)),
        ("e", Some(5)),
    ] {
        rules.add(&app, rule(topic), at).await.unwrap();
    }
    let listed = rules.list(&app).await.unwrap();
    assert_eq!(topics(&listed), ["a", "b", "c", "d", "e"]);
    let left = rules.remove(&app, 2).await.unwrap();
    assert_eq!(topics(&left), ["a", "c", "d", "e"]);

    let anna = AppRule {
        effect: Effect::Deny,
        action: Action::Publish,
        topic: "%u/x".to_owned(),
        user: Some(Username::parse("anna").unwrap()),
    };
    let set = rules.set(&app, vec![anna.clone()]).await.unwrap();
    assert_eq!(set, rules.list(&app).await.unwrap());
    assert_eq!(set, [anna]);
    let other = AppKey::parse(OTHER_APP).unwrap();
    assert_eq!(rules.list(&other).await.unwrap(), [], "another app's");
}

async fn a_refused_change_changes_nothing(rules: AppRules) {
    let app = AppKey::parse(APP).unwrap();
    rules.set(&app, vec![rule("a"), rule("b")]).await.unwrap();
    let long = format!("x/{}", "y".repeat(MAX_TOPIC));
    let refusals = [
        (
            rules.add(&app, rule("c"), Some(0)).await,
            "the app has no rule 0: it has 2",
        ),
        (
            rules.add(&app, rule("c"), Some(4)).await,
            "the app has no rule 4: it has 2",
        ),
        (
            rules.remove(&app, 0).await,
            "the app has no rule 0: it has 2",
        ),
        (
            rules.remove(&app, 3).await,
            "the app has no rule 3: it has 2",
        ),
        (
            rules.add(&app, rule("c/%z"), None).await,
            r#"rule 3 with topic "c/%z" is not usable"#,
        ),
        (
            rules.set(&app, vec![rule("$im/#")]).await,
            "rule 1 with topic \"$im/#\" is not usable",
        ),
        (
            rules.add(&app, rule(&long), Some(2)).await,
            "the topic of rule 2 has more than 1024 bytes",
        ),
        (
            rules.set(&app, vec![rule("x"); MAX_RULES + 1]).await,
            "an app has at most 256 rules",
        ),
    ];
    for (refused, error) in refusals {
        assert_eq!(refused.unwrap_err().to_string(), error);
    }
    let listed = rules.list(&app).await.unwrap();
    assert_eq!(topics(&listed), ["a", "b"]);

    rules.set(&app, vec![rule("x"); MAX_RULES]).await.unwrap();
    let error = rules.add(&app, rule("y"), None).await.unwrap_err();
    assert_eq!(error.to_string(), "an app has at most 256 rules");
}

/// Every change is seen once by who remembers the last number, the newest state of each app.
async fn changes_are_seen_in_order(rules: AppRules) {
    let (app, other) = (
        AppKey::parse(APP).unwrap(),
        AppKey::parse(OTHER_APP).unwrap(),
    );
    let changed = async |after| {
        let changed = store::changed_after(rules.database(), after, 10).await;
        let changed = changed.unwrap().into_iter();
        changed
            .map(|one| (one.app_key, one.number))
            .collect::<Vec<_>>()
    };
    rules.add(&app, rule("a"), None).await.unwrap();
    rules.add(&other, rule("a"), None).await.unwrap();
    let first = changed(0).await;
    assert_eq!(first, [(APP.to_owned(), 1), (OTHER_APP.to_owned(), 2)]);
    rules.remove(&app, 1).await.unwrap();
    assert_eq!(changed(2).await, [(APP.to_owned(), 3)]);
    assert_eq!(changed(3).await, []);
    assert!(rules.remove(&app, 1).await.is_err());
    assert_eq!(changed(3).await, [], "a refused one is none");
}

/// Two that add at the same time both have their rule in the list.
async fn changes_at_once_lose_nothing(rules: AppRules) {
    let app = AppKey::parse(APP).unwrap();
    let topics: Vec<String> = (0..16).map(|number| format!("t/{number:02}")).collect();
    let mut adding = tokio::task::JoinSet::new();
    for topic in topics.clone() {
        let (rules, app) = (rules.clone(), app.clone());
        adding.spawn(async move { rules.add(&app, rule(&topic), None).await });
    }
    while let Some(added) = adding.join_next().await {
        added.unwrap().unwrap();
    }
    let listed = rules.list(&app).await.unwrap();
    let mut found: Vec<String> = listed.into_iter().map(|rule| rule.topic).collect();
    found.sort();
    assert_eq!(found, topics);
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::on(super::Backend::Sqlite, super::$name).await;
            })+
        }

        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::on(super::Backend::Postgres, super::$name).await;
            })+
        }
    };
}

on_both!(
    lists_are_kept_in_order,
    a_refused_change_changes_nothing,
    changes_are_seen_in_order,
    changes_at_once_lose_nothing,
);

#[test]
fn a_rule_of_an_app_names_no_app() {
    let text =
        r##"[{"effect":"allow","action":"all","topic":"#","app":"0123456789abcdef01234567"}]"##;
    let error = parse(text).unwrap_err();
    assert!(matches!(error, AppRulesError::Unreadable(_)));
    assert!(parse(r##"[{"effect":"allow","action":"all","topic":"#","user":""}]"##).is_ok());
}
