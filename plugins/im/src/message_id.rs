//! Message numbers: unique, ordered by time, below 2^53.
//!
//! 41 bits of milliseconds, then 12 bits that tell apart what is accepted within one of them. Two
//! processes on one store, as in a rolling restart, may allot the same number. The store's primary
//! key notices, and the later one takes others ([`MessageIds::jump`]). Where several nodes write for
//! long, the upper of the 12 bits can name the node: only the start of a millisecond's numbers
//! changes, and numbers that are stored stay valid.

use partyline_protocol::MessageId;

/// 2024-01-01 UTC in milliseconds since 1970. From there 41 bits of milliseconds last until 2093.
const START_MS: u64 = 1_704_067_200_000;

/// Bits that tell apart what is accepted within one millisecond.
const COUNTER_BITS: u32 = 12;

/// Allots message numbers. More than 4,096 in a millisecond borrow from the next one; a clock that
/// is set back is waited for by counting on.
#[derive(Debug)]
pub(crate) struct MessageIds {
    last: MessageId,
    /// Where this process begins within a millisecond.
    offset: u64,
}

impl MessageIds {
    /// Goes on after the highest number ever stored.
    pub(crate) fn after(last: MessageId) -> Self {
        Self { last, offset: 0 }
    }

    /// Goes out of the way of another process that has stored numbers up to `highest`: in this
    /// millisecond and in those that follow.
    pub(crate) fn jump(&mut self, highest: MessageId) {
        // Half of the millisecond is left for its messages.
        self.offset = rand::random_range(1..1 << (COUNTER_BITS - 1));
        let last = self.last.max(highest).get() + self.offset;
        self.last = MessageId::parse(last).unwrap_or(self.last);
    }

    /// The next number, for a message accepted at `now_ms`.
    pub(crate) fn next(&mut self, now_ms: u64) -> MessageId {
        let next = (self.last.get() + 1).max(first_of(now_ms) + self.offset);
        // Past the year 2093 the last number comes again, and the store refuses it.
        self.last = MessageId::parse(next).unwrap_or(self.last);
        self.last
    }
}

/// Numbers of messages accepted before `now_ms` are lower than this.
pub(crate) fn first_of(now_ms: u64) -> u64 {
    now_ms.saturating_sub(START_MS) << COUNTER_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_whatever_the_clock_does() {
        let now = START_MS + 1_000;
        let mut ids = MessageIds::after(MessageId::parse(7).unwrap());
        let first = ids.next(now).get();
        assert_eq!(first, 1_000 << 12);
        assert_eq!(ids.next(now).get(), first + 1);
        assert_eq!(ids.next(now - 500).get(), first + 2, "the clock went back");
        assert_eq!(ids.next(now + 1).get(), 1_001 << 12);
        let mut restarted = MessageIds::after(MessageId::parse(first + 9_000_000).unwrap());
        assert_eq!(restarted.next(now).get(), first + 9_000_001);
    }

    #[test]
    fn a_process_goes_out_of_the_way_of_another() {
        let now = START_MS + 1_000;
        let first = MessageId::parse(0).unwrap();
        let (mut one, mut other) = (MessageIds::after(first), MessageIds::after(first));
        assert_eq!(one.next(now), other.next(now));
        let highest = one.next(now);
        other.jump(highest);
        let number = other.next(now);
        assert!(number > highest);
        assert_eq!(
            number.get() >> COUNTER_BITS,
            1_000,
            "still of its millisecond"
        );
        assert_ne!(
            one.next(now + 1),
            other.next(now + 1),
            "from then on as well"
        );
    }
}
