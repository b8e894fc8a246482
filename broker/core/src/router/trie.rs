//! Wildcard filters, by level.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Subscriber, Subscribers};
use crate::session::Session;

#[derive(Debug, Default)]
pub(super) struct Trie {
    root: Node,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<str>, Node>,
    plus: Option<Box<Node>>,
    /// Filters that end here.
    here: Subscribers,
    /// Filters that end here with `#`.
    hash: Subscribers,
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.plus.is_none()
            && self.here.is_empty()
            && self.hash.is_empty()
    }

    fn remove<'a>(
        &mut self,
        mut levels: impl Iterator<Item = &'a str> + Clone,
        session: &Arc<Session>,
    ) -> bool {
        match levels.next() {
            None => self.here.take(session),
            Some("#") => self.hash.take(session),
            Some("+") => {
                let Some(child) = self.plus.as_mut() else {
                    return false;
                };
                let removed = child.remove(levels, session);
                self.plus.take_if(|child| child.is_empty());
                removed
            }
            Some(level) => {
                let Some(child) = self.children.get_mut(level) else {
                    return false;
                };
                let removed = child.remove(levels, session);
                if child.is_empty() {
                    self.children.remove(level);
                }
                removed
            }
        }
    }

    fn visit(&self, rest: Option<&str>, found: &mut impl FnMut(&Subscriber)) {
        // `a/#` matches `a` too.
        self.hash.iter().for_each(&mut *found);
        let Some(rest) = rest else {
            self.here.iter().for_each(found);
            return;
        };
        let (level, rest) = match rest.split_once('/') {
            Some((level, rest)) => (level, Some(rest)),
            None => (rest, None),
        };
        if let Some(child) = self.children.get(level) {
            child.visit(rest, found);
        }
        if let Some(child) = &self.plus {
            child.visit(rest, found);
        }
    }
}

impl Trie {
    /// Whether nothing is left of anything.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// Adds or replaces a subscription; true if it is new.
    pub(super) fn insert(&mut self, filter: &str, subscriber: Subscriber) -> bool {
        let mut node = &mut self.root;
        for level in filter.split('/') {
            match level {
                "#" => return node.hash.put(subscriber),
                "+" => node = node.plus.get_or_insert_default(),
                level => node = node.children.entry(level.into()).or_default(),
            }
        }
        node.here.put(subscriber)
    }

    /// Removes a subscription; true if it was there.
    pub(super) fn remove(&mut self, filter: &str, session: &Arc<Session>) -> bool {
        self.root.remove(filter.split('/'), session)
    }

    /// Visits the subscribers of every filter that matches. Topics here never begin with `$`.
    pub(super) fn matching(&self, topic: &str, mut found: impl FnMut(&Subscriber)) {
        self.root.visit(Some(topic), &mut found);
    }
}
