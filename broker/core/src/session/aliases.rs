//! Topic aliases to a client (MQTT 5 §3.3.2.3.4).

use std::collections::HashMap;
use std::num::NonZeroU16;

use partyline_plugin::protocol::TopicName;

use crate::codec::Alias;

/// An alias takes three bytes, so that shorter topics go as they are.
const SHORTEST: usize = 8;

/// The aliases that one connection was told. They end with it. Holds no memory before the first.
///
/// When all are given, the next one is taken from a topic that was not sent for a while: of those
/// that were sent since the hand came by, each is passed over once.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    /// How many there may be.
    max: u16,
    table: Option<Box<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    places: HashMap<TopicName, usize>,
    /// The first is alias 1.
    slots: Vec<Slot>,
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    topic: TopicName,
    /// Sent since the hand came by.
    recent: bool,
}

impl Aliases {
    /// None yet, and never more than this.
    pub(crate) fn new(max: u16) -> Self {
        Self { max, table: None }
    }

    /// Whether the client takes any.
    pub(super) fn are_used(&self) -> bool {
        self.max > 0
    }

    /// How to name a topic that is sent now. The client learns it by that.
    pub(super) fn name(&mut self, topic: &TopicName) -> Option<Alias> {
        if !self.are_used() || topic.as_str().len() < SHORTEST {
            return None;
        }
        let table = self.table.get_or_insert_default();
        let known = table.find(topic);
        let place = match known {
            Some(place) => place,
            None => table.give(topic, self.max)?,
        };
        let number = NonZeroU16::new(u16::try_from(place + 1).ok()?)?;
        Some(Alias {
            number,
            known: known.is_some(),
        })
    }
}

impl Table {
    fn find(&mut self, topic: &TopicName) -> Option<usize> {
        let place = *self.places.get(topic)?;
        self.slots.get_mut(place)?.recent = true;
        Some(place)
    }

    fn give(&mut self, topic: &TopicName, max: u16) -> Option<usize> {
        let slot = Slot {
            topic: topic.clone(),
            recent: false,
        };
        let place = if self.slots.len() < max.into() {
            self.slots.push(slot);
            self.slots.len() - 1
        } else {
            let place = self.turn()?;
            let old = std::mem::replace(self.slots.get_mut(place)?, slot);
            self.places.remove(&old.topic);
            place
        };
        self.places.insert(topic.clone(), place);
        Some(place)
    }

    /// The place whose topic is given up.
    fn turn(&mut self) -> Option<usize> {
        loop {
            let place = self.hand % self.slots.len().max(1);
            self.hand = place + 1;
            if !std::mem::take(&mut self.slots.get_mut(place)?.recent) {
                return Some(place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use partyline_plugin::protocol::TopicLimits;
    use proptest::prelude::*;

    use super::*;

    fn topic(text: &str) -> TopicName {
        TopicName::parse(text, &TopicLimits::default()).unwrap()
    }

    #[test]
    fn what_is_sent_often_keeps_its_alias() {
        let mut aliases = Aliases::new(2);
        let often = topic("sent/very/often");
        assert_eq!(aliases.name(&often).map(|alias| alias.known), Some(false));
        for number in 0..100 {
            let rare = topic(&format!("sent/once/{number}"));
            assert_eq!(aliases.name(&rare).map(|alias| alias.known), Some(false));
            assert_eq!(aliases.name(&often).map(|alias| alias.known), Some(true));
        }
    }

    #[test]
    fn there_are_none_for_short_topics_and_where_the_client_takes_none() {
        assert_eq!(Aliases::new(9).name(&topic("short")), None);
        let mut none = Aliases::new(0);
        assert_eq!(none.name(&topic("a/long/topic")), None);
        assert!(none.table.is_none());
    }

    proptest! {
        /// A client that does what it is told always knows the topic.
        #[test]
        fn the_client_always_knows_the_topic(
            max in 1_u16..6,
            sent in prop::collection::vec(0_u8..12, 0..200),
        ) {
            let mut aliases = Aliases::new(max);
            let mut told = HashMap::new();
            for number in sent {
                let sent = topic(&format!("a/topic/{number}"));
                let alias = aliases.name(&sent).unwrap();
                prop_assert!(alias.number.get() <= max);
                if alias.known {
                    prop_assert_eq!(told.get(&alias.number), Some(&sent));
                } else {
                    told.insert(alias.number, sent);
                }
            }
        }
    }
}
