use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{TopicError, TopicLimits, relation};

/// What a client subscribes to: a topic in which `+` stands for one level and a last `#` for any
/// number of them. Cheap to clone.
///
/// [`matches`](Self::matches), [`covers`](Self::covers) and [`overlaps`](Self::overlaps) read the
/// filter as it stands; take a `$share/{group}/` off first, with [`share`](Self::share).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicFilter(Arc<str>);

impl TopicFilter {
    /// Parses the text; the error says which rule or limit it broke. The limits count a
    /// `$share/{group}/` in front as well.
    pub fn parse(text: &str, limits: &TopicLimits) -> Result<Self, TopicError> {
        limits.check(text)?;
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            let last = levels.peek().is_none();
            let placed = match level {
                "+" => true,
                "#" => last,
                _ => !level.contains(['+', '#']),
            };
            if !placed {
                return Err(TopicError::WildcardPlacement);
            }
        }
        Ok(Self(text.into()))
    }

    /// The filter as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it holds `+` or `#`.
    pub fn is_wildcard(&self) -> bool {
        self.0.contains(['+', '#'])
    }

    /// Whether a message to `topic` goes to this filter. A wildcard in the first level matches no
    /// topic that starts with `$`; `a/#` matches `a` too.
    pub fn matches(&self, topic: &str) -> bool {
        relation::matches(&self.0, topic)
    }

    /// Whether this filter matches every topic that `other` matches.
    pub fn covers(&self, other: &Self) -> bool {
        relation::covers(&self.0, &other.0)
    }

    /// Whether some topic is matched by this filter and by `other`.
    pub fn overlaps(&self, other: &Self) -> bool {
        relation::overlaps(&self.0, &other.0)
    }

    /// Splits `$share/{group}/{filter}`; `None` for a filter that isn't shared.
    ///
    /// Fails on a share whose group is empty or a wildcard, or that has no filter of its own.
    pub fn share(&self) -> Result<Option<(&str, Self)>, TopicError> {
        let Some(rest) = self.0.strip_prefix("$share/") else {
            return Ok(None);
        };
        let (group, filter) = rest.split_once('/').unwrap_or((rest, ""));
        if group.is_empty() || group.contains(['+', '#']) {
            return Err(TopicError::ShareGroup);
        }
        if filter.is_empty() || filter.starts_with("$share/") {
            return Err(TopicError::ShareFilter);
        }
        // The end of a valid filter, cut at a level, is one itself.
        Ok(Some((group, Self(filter.into()))))
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for TopicFilter {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for TopicFilter {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for TopicFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Checks MQTT's own limits only, so that what was stored under wider limits still loads.
impl<'de> Deserialize<'de> for TopicFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text, &TopicLimits::MQTT).map_err(de::Error::custom)
    }
}
