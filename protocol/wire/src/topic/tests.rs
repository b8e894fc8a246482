use proptest::prelude::*;

use super::*;

fn filter(text: &str) -> TopicFilter {
    TopicFilter::parse(text, &TopicLimits::default()).unwrap()
}

#[test]
fn names_follow_mqtt() {
    let limits = TopicLimits::default();
    for good in ["a", "/", "a//b", "$im/inbox", "a b/ü", &"x".repeat(1024)] {
        assert!(TopicName::parse(good, &limits).is_ok(), "{good}");
    }
    let parse = |text: &str| TopicName::parse(text, &limits).unwrap_err();
    assert_eq!(parse(""), TopicError::Empty);
    assert_eq!(parse("a\0"), TopicError::Nul);
    assert_eq!(parse("a/+"), TopicError::WildcardInName);
    assert_eq!(parse("a#"), TopicError::WildcardInName);
    assert_eq!(
        parse(&"x".repeat(1025)),
        TopicError::TooLong {
            max: 1024,
            actual: 1025
        }
    );
    assert_eq!(
        parse(&"/".repeat(32)),
        TopicError::TooManyLevels {
            max: 32,
            actual: 33
        }
    );
}

#[test]
fn wildcards_have_their_places() {
    let limits = TopicLimits::default();
    for good in ["#", "+", "a/#", "+/+", "+/a/#", "/+"] {
        assert!(TopicFilter::parse(good, &limits).is_ok(), "{good}");
    }
    for bad in ["#/a", "a#", "a/#/b", "a+", "+a/b", "a/++"] {
        let error = TopicFilter::parse(bad, &limits).unwrap_err();
        assert_eq!(error, TopicError::WildcardPlacement, "{bad}");
    }
}

#[test]
fn the_examples_of_the_mqtt_text() {
    assert!(filter("sport/tennis/player1/#").matches("sport/tennis/player1"));
    assert!(filter("sport/#").matches("sport"));
    assert!(!filter("sport/tennis/+").matches("sport/tennis/player1/ranking"));
    assert!(!filter("sport/+").matches("sport"));
    assert!(filter("sport/+").matches("sport/"));
    assert!(filter("+/+").matches("/finance"));
    assert!(filter("/+").matches("/finance"));
    assert!(!filter("+").matches("/finance"));
    assert!(!filter("#").matches("$SYS/x"));
    assert!(!filter("+/monitor").matches("$SYS/monitor"));
    assert!(filter("$SYS/#").matches("$SYS/x"));
}

#[test]
fn the_empty_text_is_no_topic() {
    assert!(!filter("+").overlaps(&filter("/#")));
    assert!(filter("+/#").covers(&filter("#")));
    assert!(filter("+/+/#").covers(&filter("/#")));
    assert!(!filter("a/+/#").covers(&filter("a/#")));
}

#[test]
fn shares_are_split() {
    assert_eq!(filter("a/b").share(), Ok(None));
    assert_eq!(filter("$share").share(), Ok(None));
    assert_eq!(
        filter("$share/g/a/+").share(),
        Ok(Some(("g", filter("a/+"))))
    );
    assert_eq!(filter("$share/g//").share(), Ok(Some(("g", filter("/")))));
    assert_eq!(filter("$share//a").share(), Err(TopicError::ShareGroup));
    assert_eq!(filter("$share/+/a").share(), Err(TopicError::ShareGroup));
    assert_eq!(filter("$share/#").share(), Err(TopicError::ShareGroup));
    assert_eq!(filter("$share/g").share(), Err(TopicError::ShareFilter));
    assert_eq!(filter("$share/g/").share(), Err(TopicError::ShareFilter));
    assert_eq!(
        filter("$share/g/$share/h/a").share(),
        Err(TopicError::ShareFilter)
    );
}

/// All topics of up to four levels over an alphabet that holds one word (`b`) no filter has.
fn topics() -> Vec<String> {
    let words = ["a", "b", "$x", ""];
    let mut all: Vec<String> = words.map(String::from).to_vec();
    let mut longest = all.clone();
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

/// MQTT's matching said another way: expand the filter against the topic, recursively.
fn naive_matches(filter: &[&str], topic: &[&str], first: bool) -> bool {
    match (filter, topic) {
        (["#"], rest) => !first || rest.first().is_some_and(|word| !word.starts_with('$')),
        ([], []) => true,
        ([want, filter @ ..], [word, topic @ ..]) => {
            let one = *want == *word || (*want == "+" && !(first && word.starts_with('$')));
            one && naive_matches(filter, topic, false)
        }
        _ => false,
    }
}

/// All filters of up to three levels, and a `#` behind each.
fn filters() -> Vec<TopicFilter> {
    let words = ["a", "$x", "", "+"];
    let mut all = vec![filter("#")];
    let mut longest: Vec<String> = words.map(String::from).to_vec();
    for _ in 0..3 {
        let closed = longest
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| filter(text));
        all.extend(closed);
        all.extend(longest.iter().map(|head| filter(&format!("{head}/#"))));
        longest = longest
            .iter()
            .flat_map(|head| words.map(|word| format!("{head}/{word}")))
            .collect();
    }
    all
}

#[test]
fn all_small_filters_agree_with_enumeration() {
    let topics = topics();
    let rows: Vec<(TopicFilter, Vec<bool>)> = filters()
        .into_iter()
        .map(|filter| {
            let levels: Vec<&str> = filter.as_str().split('/').collect();
            let matched = topics.iter().map(|topic| {
                let words: Vec<&str> = topic.split('/').collect();
                let matched = naive_matches(&levels, &words, true);
                assert_eq!(filter.matches(topic), matched, "{filter} matches {topic}");
                matched
            });
            let matched = matched.collect();
            (filter, matched)
        })
        .collect();
    for (one, mine) in &rows {
        for (other, theirs) in &rows {
            let both = mine
                .iter()
                .zip(theirs)
                .any(|(mine, theirs)| *mine && *theirs);
            let missed = mine
                .iter()
                .zip(theirs)
                .any(|(mine, theirs)| !mine && *theirs);
            assert_eq!(one.overlaps(other), both, "{one} overlaps {other}");
            assert_eq!(one.covers(other), !missed, "{one} covers {other}");
        }
    }
}

/// Longer ones than can be enumerated, close enough to each other to be related at times.
fn any_filter() -> impl Strategy<Value = TopicFilter> {
    "(/|a/|\\+/|\\$x/|ab/){0,6}(a|\\+|#|b)".prop_map(|text| filter(&text))
}

proptest! {
    #[test]
    fn relations_agree_on_any_topic(
        one in any_filter(),
        other in any_filter(),
        topic in "(\\$x|a|ab|b)(/|/a|/b|/ab|/\\$x){0,7}",
    ) {
        let (mine, theirs) = (one.matches(&topic), other.matches(&topic));
        prop_assert!(!(mine && theirs) || one.overlaps(&other), "{} {} {}", one, other, topic);
        prop_assert!(mine || !theirs || !one.covers(&other), "{} {} {}", one, other, topic);
        prop_assert!(!one.covers(&other) || one.overlaps(&other), "{} {}", one, other);
        prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
        prop_assert!(one.covers(&one));
    }

    #[test]
    fn any_text_parses_or_fails_whole(text in "[a+#/$\\x00ü]{0,12}") {
        let limits = TopicLimits::default();
        if let Ok(name) = TopicName::parse(&text, &limits) {
            let same = TopicFilter::parse(&text, &limits).unwrap();
            prop_assert!(same.matches(name.as_str()) && !same.is_wildcard());
        }
        if let Ok(Some((group, inner))) =
            TopicFilter::parse(&text.replace('ü', "$share"), &limits).and_then(|f| {
                f.share().map(|share| share.map(|(group, inner)| (group.to_owned(), inner)))
            })
        {
            prop_assert!(!group.is_empty());
            prop_assert!(TopicFilter::parse(inner.as_str(), &limits).is_ok());
        }
    }
}
