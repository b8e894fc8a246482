use serde::{Deserialize, Deserializer, Serialize, de};

/// How large an inbox batch may be: 1 KiB to 64 KiB, counted in bytes of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct BatchBytes(u32);

impl BatchBytes {
    /// The smallest that can be asked for, 1 KiB.
    pub const MIN: Self = Self(1024);
    /// The largest that can be asked for, 64 KiB.
    pub const MAX: Self = Self(64 * 1024);

    /// Takes a number of bytes; `None` outside of 1 KiB to 64 KiB.
    pub fn parse(bytes: u32) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0)
            .contains(&bytes)
            .then_some(Self(bytes))
    }

    /// The number of bytes.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl Default for BatchBytes {
    /// 8 KiB, because rumqttc refuses more than 10 KiB unless told otherwise.
    fn default() -> Self {
        Self(8 * 1024)
    }
}

impl<'de> Deserialize<'de> for BatchBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = u32::deserialize(deserializer)?;
        Self::parse(bytes)
            .ok_or_else(|| de::Error::custom(format!("{bytes} bytes, allowed are 1024 to 65536")))
    }
}
