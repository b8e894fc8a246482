//! Filters, by level.

use std::collections::HashMap;

/// What lies at the end of a filter.
pub(super) trait Leaf: Default {
    fn is_empty(&self) -> bool;
}

#[derive(Debug, Default)]
pub(super) struct Trie<L> {
    root: Node<L>,
}

#[derive(Debug, Default)]
struct Node<L> {
    children: HashMap<Box<str>, Node<L>>,
    plus: Option<Box<Node<L>>>,
    /// Filters that end here.
    here: L,
    /// Filters that end here with `#`.
    hash: L,
}

impl<L: Leaf> Node<L> {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.plus.is_none()
            && self.here.is_empty()
            && self.hash.is_empty()
    }

    fn change<'a>(
        &mut self,
        mut levels: impl Iterator<Item = &'a str> + Clone,
        change: impl FnOnce(&mut L) -> bool,
    ) -> bool {
        match levels.next() {
            None => change(&mut self.here),
            Some("#") => change(&mut self.hash),
            Some("+") => {
                let Some(child) = self.plus.as_mut() else {
                    return false;
                };
                let changed = child.change(levels, change);
                self.plus.take_if(|child| child.is_empty());
                changed
            }
            Some(level) => {
                let Some(child) = self.children.get_mut(level) else {
                    return false;
                };
                let changed = child.change(levels, change);
                if child.is_empty() {
                    self.children.remove(level);
                }
                changed
            }
        }
    }

    fn visit<'a>(&'a self, rest: Option<&str>, found: &mut impl FnMut(&'a L)) {
        // `a/#` matches `a` too.
        found(&self.hash);
        let Some(rest) = rest else {
            found(&self.here);
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

impl<L: Leaf> Trie<L> {
    /// The end of a filter, which is made if it is not there. Something must be put into it.
    pub(super) fn leaf(&mut self, filter: &str) -> &mut L {
        let mut node = &mut self.root;
        for level in filter.split('/') {
            match level {
                "#" => return &mut node.hash,
                "+" => node = node.plus.get_or_insert_default(),
                level => node = node.children.entry(level.into()).or_default(),
            }
        }
        &mut node.here
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }

    /// The end of a filter, if it is there.
    pub(super) fn get(&self, filter: &str) -> Option<&L> {
        let mut node = &self.root;
        for level in filter.split('/') {
            node = match level {
                "#" => return Some(&node.hash),
                "+" => node.plus.as_ref()?,
                level => node.children.get(level)?,
            };
        }
        Some(&node.here)
    }

    /// Takes something out of the end of a filter, and what is empty then out of the trie. False
    /// if the filter is not there, or `take` says so.
    pub(super) fn take(&mut self, filter: &str, take: impl FnOnce(&mut L) -> bool) -> bool {
        self.root.change(filter.split('/'), take)
    }

    /// Visits the ends of every filter that matches. Topics here never begin with `$`.
    pub(super) fn matching<'a>(&'a self, topic: &str, mut found: impl FnMut(&'a L)) {
        self.root.visit(Some(topic), &mut found);
    }
}
