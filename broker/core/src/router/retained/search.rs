//! Looking for the topics that a filter matches, in the order of their bytes.
//!
//! Topics with the same levels in front of a `/` lie together, so that a whole stretch without a
//! match can be passed over at once.

use std::ops::Bound;

use partyline_plugin::protocol::TopicFilter;

/// A search that can stop anywhere and go on from there.
#[derive(Debug)]
pub(crate) struct Search {
    filter: TopicFilter,
    /// Messages with this number and above are not looked for.
    before: u64,
    /// All matching topics below this have been found.
    place: String,
}

/// What to do about one topic.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// It matches.
    Found,
    /// It does not, and neither does anything up to the new place.
    Passed,
    /// Neither it nor anything above it matches.
    Over,
}

impl Search {
    pub(super) fn new(filter: TopicFilter, before: u64) -> Self {
        let text = filter.as_str();
        let literal = text.find(['+', '#']).unwrap_or(text.len());
        let literal = text.get(..literal).unwrap_or_default();
        // `a/#` matches `a` too.
        let place = literal.strip_suffix('/').unwrap_or(literal).to_owned();
        Self {
            filter,
            before,
            place,
        }
    }

    pub(crate) fn filter(&self) -> &TopicFilter {
        &self.filter
    }

    pub(super) fn before(&self) -> u64 {
        self.before
    }

    /// The topics that are still to be judged.
    pub(super) fn range(&self) -> (Bound<&str>, Bound<&str>) {
        (Bound::Included(&self.place), Bound::Unbounded)
    }

    /// Judges the lowest topic at or above the place, and moves the place above it.
    pub(super) fn step(&mut self, topic: &str) -> Step {
        let (step, place) = judge(self.filter.as_str(), topic);
        if let Some(place) = place {
            self.place = place;
        } else {
            self.place.clear();
            self.place.push_str(topic);
            // No topic lies between: none holds U+0000.
            self.place.push('\0');
        }
        step
    }
}

/// The place is `None` where the next topic may match.
fn judge(filter: &str, topic: &str) -> (Step, Option<String>) {
    // Where the level ends that the last `+` stands for.
    let mut plus = None;
    let mut rest = Some(topic);
    let mut at = 0;
    for level in filter.split('/') {
        if level == "#" {
            return (Step::Found, None);
        }
        let Some(text) = rest else {
            return (Step::Passed, None);
        };
        let (own, tail) = match text.split_once('/') {
            Some((own, tail)) => (own, Some(tail)),
            None => (text, None),
        };
        let end = at + own.len();
        if level == "+" {
            plus = Some(end);
        } else if own != level {
            // The topics that go on with this level, and nothing else between the two.
            let mut wanted = topic.get(..at).unwrap_or_default().to_owned();
            for more in [level, "/"] {
                wanted.push_str(more);
                if *wanted > *topic {
                    return (Step::Passed, Some(wanted));
                }
            }
            return beyond(topic, plus);
        }
        at = end + 1;
        rest = tail;
    }
    match rest {
        None => (Step::Found, None),
        Some(_) => beyond(topic, plus),
    }
}

/// Past everything that begins like this topic up to its last `+`: nothing there matches any more.
fn beyond(topic: &str, plus: Option<usize>) -> (Step, Option<String>) {
    let Some(end) = plus else {
        return (Step::Over, None);
    };
    let mut place = topic.get(..end).unwrap_or_default().to_owned();
    // The character after `/`.
    place.push('0');
    (Step::Passed, Some(place))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use partyline_plugin::protocol::TopicLimits;
    use proptest::prelude::*;

    use super::*;

    /// What is found among these topics, and in how many steps.
    fn found(filter: &str, topics: &BTreeSet<String>) -> (Vec<String>, usize) {
        let filter = TopicFilter::parse(filter, &TopicLimits::default()).unwrap();
        let mut search = Search::new(filter, 0);
        let (mut found, mut steps) = (Vec::new(), 0);
        while let Some(topic) = topics.range::<str, _>(search.range()).next() {
            steps += 1;
            match search.step(topic) {
                Step::Found => found.push(topic.clone()),
                Step::Passed => {}
                Step::Over => break,
            }
            assert!(search.place > *topic, "it goes on");
        }
        (found, steps)
    }

    #[test]
    fn passes_over_what_cannot_match() {
        let topics: BTreeSet<String> = (0..1000)
            .flat_map(|number| {
                let leaf = move |leaf| format!("{}/{number:03}/{leaf}", number % 10);
                ["a", "b", "c"].map(leaf)
            })
            .collect();
        let (one, steps) = found("7/+/b", &topics);
        assert_eq!(one.len(), 100);
        assert!(steps < 500, "{steps}");
        let (one, steps) = found("7/017/b", &topics);
        assert_eq!((one.len(), steps), (1, 2));
        let (none, steps) = found("7/017/x", &topics);
        assert!(none.is_empty() && steps < 3, "{steps}");
    }

    proptest! {
        /// `!`, `/` and `0` follow each other in the order of bytes.
        #[test]
        fn finds_what_the_filter_matches(
            topics in prop::collection::btree_set("[a!/0b]{1,6}", 0..60),
            filter in "([ab0!]{0,2}|\\+)(/([ab0!]{0,2}|\\+)){0,3}(/#)?",
            whole in any::<bool>(),
        ) {
            let filter = if whole || filter.is_empty() { "#" } else { &*filter };
            let parsed = TopicFilter::parse(filter, &TopicLimits::default()).unwrap();
            let expected: Vec<String> =
                topics.iter().filter(|topic| parsed.matches(topic)).cloned().collect();
            prop_assert_eq!(found(filter, &topics).0, expected);
        }
    }
}
