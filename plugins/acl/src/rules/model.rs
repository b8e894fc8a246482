//! A naive model: topics and what matches them are spelled out, one by one.

use crate::config::{Action, Effect};

/// A rule of the model; its topic has no placeholders left.
#[derive(Debug, Clone)]
pub(super) struct ModelRule {
    pub(super) effect: Effect,
    pub(super) action: Action,
    pub(super) topic: String,
}

/// Every topic of up to four levels over words of which `z` is in no filter.
pub(super) fn all_topics() -> Vec<String> {
    let words = ["a", "b", "", "z"];
    let mut longest: Vec<String> = words.map(String::from).to_vec();
    let mut all = longest.clone();
    for _ in 1..4 {
        longest = longest
            .iter()
            .flat_map(|head| words.map(|word| format!("{head}/{word}")))
            .collect();
        all.extend(longest.iter().cloned());
    }
    all.retain(|topic| !topic.is_empty());
    all
}

/// MQTT's matching for topics that do not begin with `$`.
pub(super) fn matches(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        (["#"], _) | ([], []) => true,
        ([want, filter @ ..], [word, topic @ ..]) => {
            (want == word || *want == "+") && matches(filter, topic)
        }
        _ => false,
    }
}

fn matched<'t>(filter: &str, topics: &'t [String]) -> Vec<&'t String> {
    let filter: Vec<&str> = filter.split('/').collect();
    let keep = |topic: &&String| matches(&filter, &topic.split('/').collect::<Vec<_>>());
    topics.iter().filter(keep).collect()
}

/// What the first rule that matches says: `asked` is a topic when publishing, else a filter.
pub(super) fn decide(
    rules: &[ModelRule],
    topics: &[String],
    publish: bool,
    asked: &str,
) -> Option<Effect> {
    let wanted = if publish {
        vec![asked.to_owned()]
    } else {
        Vec::new()
    };
    let wanted: Vec<&String> = if publish {
        wanted.iter().collect()
    } else {
        matched(asked, topics)
    };
    for rule in rules {
        let about = match rule.action {
            Action::All => true,
            Action::Publish => publish,
            Action::Subscribe => !publish,
        };
        let levels: Vec<&str> = rule.topic.split('/').collect();
        let hit = |topic: &&String| matches(&levels, &topic.split('/').collect::<Vec<_>>());
        let applies = match rule.effect {
            Effect::Allow => wanted.iter().all(&hit),
            Effect::Deny => wanted.iter().any(hit),
        };
        if about && applies {
            return Some(rule.effect);
        }
    }
    None
}
