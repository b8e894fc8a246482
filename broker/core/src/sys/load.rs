//! How much an app does in a minute, on average over the last one, five and fifteen.

use std::time::Duration;

use crate::metrics::Totals;

/// Seconds of the three averages.
const OVER: [f64; 3] = [60.0, 300.0, 900.0];

/// Something by the minute, as an average over one, five and fifteen minutes.
pub(crate) type Rates = [f64; 3];

/// Moving averages, with an older time counting for less the longer it is ago.
#[derive(Debug, Default)]
pub(crate) struct Load {
    last: Totals,
    pub(super) connections: Rates,
    pub(super) bytes_received: Rates,
    pub(super) bytes_sent: Rates,
    pub(super) packets_received: Rates,
    pub(super) packets_sent: Rates,
    pub(super) messages_received: Rates,
    pub(super) messages_sent: Rates,
    pub(super) messages_dropped: Rates,
}

impl Load {
    /// Takes in what came in a time.
    pub(super) fn advance(&mut self, now: Totals, time: Duration) {
        let last = std::mem::replace(&mut self.last, now);
        let sum = |counts: [u64; 3]| counts.iter().sum::<u64>();
        for (rates, now, last) in [
            (&mut self.connections, now.connects, last.connects),
            (
                &mut self.bytes_received,
                now.bytes_received,
                last.bytes_received,
            ),
            (&mut self.bytes_sent, now.bytes_sent, last.bytes_sent),
            (
                &mut self.packets_received,
                now.packets_received,
                last.packets_received,
            ),
            (&mut self.packets_sent, now.packets_sent, last.packets_sent),
            (
                &mut self.messages_received,
                sum(now.messages_received),
                sum(last.messages_received),
            ),
            (
                &mut self.messages_sent,
                sum(now.messages_sent),
                sum(last.messages_sent),
            ),
            (
                &mut self.messages_dropped,
                sum(now.dropped),
                sum(last.dropped),
            ),
        ] {
            advance(rates, now.saturating_sub(last), time);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an average for people")]
fn advance(rates: &mut Rates, came: u64, time: Duration) {
    let secs = time.as_secs_f64();
    if secs <= 0.0 {
        return;
    }
    let rate = came as f64 * 60.0 / secs;
    for (average, over) in rates.iter_mut().zip(OVER) {
        *average = rate + (-secs / over).exp() * (*average - rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_approached_the_sooner_the_shorter_the_time() {
        let (mut load, mut totals) = (Load::default(), Totals::default());
        let mut before = [0.0; 3];
        for _ in 0..90 {
            totals.connects += 20;
            load.advance(totals, Duration::from_secs(10));
            let [one, five, fifteen] = load.connections;
            assert!(one > five && five > fifteen && fifteen > 0.0);
            assert!(
                load.connections
                    .iter()
                    .zip(before)
                    .all(|(now, before)| *now >= before)
            );
            before = load.connections;
        }
        // 120 a minute for 15 minutes: 1 - 1/e of it on the longest average.
        let [one, five, fifteen] = load.connections;
        assert!((one - 120.0).abs() < 0.01, "{one}");
        assert!(
            (five - 120.0 * (1.0 - (-3.0_f64).exp())).abs() < 0.01,
            "{five}"
        );
        assert!(
            (fifteen - 120.0 * (1.0 - (-1.0_f64).exp())).abs() < 0.01,
            "{fifteen}"
        );
        // And forgotten again.
        load.advance(totals, Duration::from_hours(10));
        assert!(load.connections.iter().all(|rate| *rate < 0.01));
    }
}
