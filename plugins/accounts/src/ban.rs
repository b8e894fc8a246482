//! How long a kicked user is refused from the device.

use crate::config::BanConfig;

/// A user is refused from a device until some time. Kept after that time, so that the next kick
/// lasts longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Ban {
    /// When it ends.
    #[sqlx(rename = "until_at")]
    pub(crate) until: i64,
    /// How long it lasts.
    pub(crate) last_ms: i64,
}

impl Ban {
    /// The ban for a kick at `now`, twice as long as one that ended less than the longest ban ago.
    pub(crate) fn next(previous: Option<Self>, now: i64, config: &BanConfig) -> Self {
        let (first, longest) = (config.first_ms(), config.longest_ms());
        let last_ms = match previous {
            Some(ban) if now < ban.until.saturating_add(longest) => ban.last_ms.saturating_mul(2),
            _ => first,
        };
        let last_ms = last_ms.clamp(first.min(longest), longest);
        Self {
            until: now.saturating_add(last_ms),
            last_ms,
        }
    }

    pub(crate) fn holds(self, now: i64) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_last_60_s_and_double_to_1_h() {
        let config = BanConfig::default();
        let mut ban = Ban::next(None, 0, &config);
        let mut lasted = vec![ban.last_ms / 1000];
        for _ in 0..7 {
            assert!(ban.holds(ban.until - 1));
            assert!(!ban.holds(ban.until));
            ban = Ban::next(Some(ban), ban.until + 1, &config);
            lasted.push(ban.last_ms / 1000);
        }
        assert_eq!(lasted, [60, 120, 240, 480, 960, 1920, 3600, 3600]);
    }

    #[test]
    fn an_hour_without_a_ban_starts_over() {
        let config = BanConfig::default();
        let ban = Ban {
            until: 0,
            last_ms: 960_000,
        };
        assert_eq!(Ban::next(Some(ban), 3_600_000, &config).last_ms, 60_000);
        assert_eq!(Ban::next(Some(ban), 3_599_999, &config).last_ms, 1_920_000);
    }
}
