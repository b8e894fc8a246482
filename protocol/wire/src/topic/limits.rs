use super::TopicError;

/// How long a topic name or filter may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicLimits {
    /// Greatest length in UTF-8 bytes. MQTT itself ends at 65,535, whatever stands here.
    pub max_bytes: usize,
    /// Greatest number of levels; a topic without `/` has one.
    pub max_levels: usize,
}

impl TopicLimits {
    /// MQTT's own limits, for what was accepted before and is only read back.
    pub const MQTT: Self = Self {
        max_bytes: 65_535,
        max_levels: 65_536,
    };

    /// The rules that names and filters have in common.
    pub(super) fn check(&self, text: &str) -> Result<(), TopicError> {
        let max = self.max_bytes.min(Self::MQTT.max_bytes);
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        if text.len() > max {
            return Err(TopicError::TooLong {
                max,
                actual: text.len(),
            });
        }
        if text.contains('\0') {
            return Err(TopicError::Nul);
        }
        let levels = text.split('/').count();
        if levels > self.max_levels {
            return Err(TopicError::TooManyLevels {
                max: self.max_levels,
                actual: levels,
            });
        }
        Ok(())
    }
}

impl Default for TopicLimits {
    /// 1,024 bytes and 32 levels.
    fn default() -> Self {
        Self {
            max_bytes: 1024,
            max_levels: 32,
        }
    }
}
