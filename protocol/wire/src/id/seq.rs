use super::number::MAX_ID;

number_id! {
    /// A place in a stream or a conversation, allotted without gaps from 1; 0 is before the first.
    Seq, "seq"
}

impl Seq {
    /// The place before the first item.
    pub const ZERO: Self = Self(0);

    /// The place after this one. Stays at the last one, which a million items a second would reach
    /// after 285 years.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(if self.0 < MAX_ID { self.0 + 1 } else { MAX_ID })
    }
}

impl Default for Seq {
    fn default() -> Self {
        Self::ZERO
    }
}
