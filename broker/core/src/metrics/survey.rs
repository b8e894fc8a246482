//! What all apps have together, at one time.

use super::Totals;
use crate::kernel::Kernel;

/// Sums over every app.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) totals: Totals,
    pub(crate) apps: u64,
    pub(crate) connected: u64,
    pub(crate) sessions: u64,
    pub(crate) subscriptions: u64,
    pub(crate) retained_messages: u64,
    pub(crate) retained_bytes: u64,
}

impl Kernel {
    /// Looks at every app. What an app counted stays in the sum when it is deleted: a counter
    /// never goes back.
    pub(crate) fn survey(&self) -> Survey {
        let past = self.metrics.past.lock();
        let mut survey = Survey {
            totals: *past,
            ..Survey::default()
        };
        survey.totals += self.metrics.strangers.totals();
        for space in self.spaces() {
            survey.totals += space.traffic.totals();
            survey.apps += 1;
            survey.connected += space.census.connected() as u64;
            survey.sessions += space.census.sessions() as u64;
            survey.subscriptions += space.census.subscriptions() as u64;
            let (messages, bytes) = space.retained.size();
            survey.retained_messages += messages as u64;
            survey.retained_bytes += bytes as u64;
        }
        survey
    }
}
