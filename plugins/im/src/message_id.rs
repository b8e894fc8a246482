//! Message numbers: unique, ordered by time, below 2^53.

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
}

impl MessageIds {
    /// Goes on after the highest number ever stored.
    pub(crate) fn after(last: MessageId) -> Self {
        Self { last }
    }

    /// The next number, for a message accepted at `now_ms`.
    pub(crate) fn next(&mut self, now_ms: u64) -> MessageId {
        let next = (self.last.get() + 1).max(first_of(now_ms));
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
}
