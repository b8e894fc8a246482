//! What one receiver got of one flow: loss, duplicates and order, told from the numbers alone.

use std::collections::BTreeSet;
use std::fmt;

/// One flow as one receiver sees it. Numbers go up from 0.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    next: u64,
    /// Numbers below `next` that did not come yet.
    missing: BTreeSet<u64>,
}

/// What a message was to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    InOrder,
    /// One or more before it are missing.
    Early,
    /// It was missing.
    Late,
    /// It had come before.
    Again,
}

impl Stream {
    pub(crate) fn take(&mut self, number: u64) -> Came {
        if number < self.next {
            return if self.missing.remove(&number) {
                Came::Late
            } else {
                Came::Again
            };
        }
        let came = if number == self.next {
            Came::InOrder
        } else {
            self.missing.extend(self.next..number);
            Came::Early
        };
        self.next = number + 1;
        came
    }

    /// How many of the `sent` did not come.
    pub(crate) fn lost(&self, sent: u64) -> u64 {
        self.missing.len() as u64 + sent.saturating_sub(self.next)
    }
}

/// What went wrong. All zero is what a load expects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Messages that a receiver never got.
    pub(crate) lost: u64,
    /// Messages that a receiver got more than once.
    pub(crate) duplicates: u64,
    /// Messages that came after a later one.
    pub(crate) disordered: u64,
    /// Messages that came to who did not ask for them, and acknowledgements of nothing.
    pub(crate) strays: u64,
    /// Messages of QoS 1 that were never acknowledged to their publisher.
    pub(crate) unacknowledged: u64,
}

impl Faults {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            lost,
            duplicates,
            disordered,
            strays,
            unacknowledged,
        } = self;
        write!(
            f,
            "lost={lost} duplicates={duplicates} disordered={disordered} strays={strays} \
             unacknowledged={unacknowledged}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Came::{Again, Early, InOrder, Late};
    use super::*;

    #[test]
    fn tells_loss_duplicates_and_disorder_apart() {
        let mut stream = Stream::default();
        let came: Vec<_> = [0, 2, 1, 1, 5, 2].map(|n| stream.take(n)).into();
        assert_eq!(came, [InOrder, Early, Late, Again, Early, Again]);
        assert_eq!(stream.lost(6), 2, "3 and 4");
        assert_eq!(stream.lost(8), 4, "and the last two");
    }
}
