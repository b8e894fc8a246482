/// How large the parts of a message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// `msg_body`, in bytes of its JSON text as sent.
    pub body_bytes: usize,
    /// Title and alert of `notification`, in UTF-8 bytes each.
    pub notification_bytes: usize,
    /// `at` and `notification` together, in bytes of their JSON text.
    pub beside_body_bytes: usize,
}

impl Default for MessageLimits {
    /// JMessage's 4,096 bytes of body and 250 of any other text. 2,048 bytes beside the body leave
    /// room for all names at their longest: a message always fits a batch of 8 KiB.
    fn default() -> Self {
        Self {
            body_bytes: 4096,
            notification_bytes: 250,
            beside_body_bytes: 2048,
        }
    }
}
