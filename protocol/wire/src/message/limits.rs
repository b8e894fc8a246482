/// How large the parts of a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// `msg_body`, in bytes of its JSON text as sent.
    pub body_bytes: usize,
    /// Title and alert of `notification`, in UTF-8 bytes each.
    pub notification_bytes: usize,
    /// How many members `at` may name.
    pub mentions: usize,
}

impl Default for MessageLimits {
    /// JMessage's 4,096 bytes of body and 250 of any other text; as many mentions as a group has
    /// members, 500.
    fn default() -> Self {
        Self {
            body_bytes: 4096,
            notification_bytes: 250,
            mentions: 500,
        }
    }
}
