//! The topics under `$SYS/broker/`, and where their values come from.

use std::sync::Arc;

use parking_lot::MutexGuard;
use tokio::time::Instant;

use super::Load;
use super::load::Rates;
use crate::metrics::Totals;
use crate::router::AppSpace;

/// A topic and its value.
type Entry = (&'static str, fn(&Figures<'_>) -> String);

/// What the values are taken from.
pub(super) struct Figures<'a> {
    space: &'a Arc<AppSpace>,
    totals: Totals,
    load: MutexGuard<'a, Load>,
    uptime_secs: u64,
}

impl<'a> Figures<'a> {
    pub(super) fn of(space: &'a Arc<AppSpace>, started: Instant, now: Instant) -> Self {
        Self {
            space,
            totals: space.traffic.totals(),
            load: space.load.lock(),
            uptime_secs: (now - started).as_secs(),
        }
    }

    fn disconnected(&self) -> usize {
        let census = &self.space.census;
        census.sessions().saturating_sub(census.connected())
    }
}

fn sum(counts: [u64; 3]) -> String {
    counts.iter().sum::<u64>().to_string()
}

fn minute([one, _, _]: Rates) -> String {
    format!("{one:.2}")
}

fn five_minutes([_, five, _]: Rates) -> String {
    format!("{five:.2}")
}

fn fifteen_minutes([_, _, fifteen]: Rates) -> String {
    format!("{fifteen:.2}")
}

/// As in mosquitto, `messages` are MQTT packets of every kind, `publish/messages` only PUBLISH.
pub(super) const TOPICS: &[Entry] = &[
    ("$SYS/broker/version", |_| {
        concat!("partyline version ", env!("CARGO_PKG_VERSION")).to_owned()
    }),
    ("$SYS/broker/uptime", |f| {
        format!("{} seconds", f.uptime_secs)
    }),
    ("$SYS/broker/clients/connected", |f| {
        f.space.census.connected().to_string()
    }),
    ("$SYS/broker/clients/disconnected", |f| {
        f.disconnected().to_string()
    }),
    ("$SYS/broker/clients/maximum", |f| {
        f.space.census.most_connected().to_string()
    }),
    ("$SYS/broker/clients/total", |f| {
        f.space.census.sessions().to_string()
    }),
    ("$SYS/broker/messages/received", |f| {
        f.totals.packets_received.to_string()
    }),
    ("$SYS/broker/messages/sent", |f| {
        f.totals.packets_sent.to_string()
    }),
    ("$SYS/broker/publish/messages/received", |f| {
        sum(f.totals.messages_received)
    }),
    ("$SYS/broker/publish/messages/sent", |f| {
        sum(f.totals.messages_sent)
    }),
    ("$SYS/broker/publish/messages/dropped", |f| {
        sum(f.totals.dropped)
    }),
    ("$SYS/broker/bytes/received", |f| {
        f.totals.bytes_received.to_string()
    }),
    ("$SYS/broker/bytes/sent", |f| {
        f.totals.bytes_sent.to_string()
    }),
    ("$SYS/broker/subscriptions/count", |f| {
        f.space.census.subscriptions().to_string()
    }),
    ("$SYS/broker/retained messages/count", |f| {
        f.space.retained.size().0.to_string()
    }),
    ("$SYS/broker/load/connections/1min", |f| {
        minute(f.load.connections)
    }),
    ("$SYS/broker/load/connections/5min", |f| {
        five_minutes(f.load.connections)
    }),
    ("$SYS/broker/load/connections/15min", |f| {
        fifteen_minutes(f.load.connections)
    }),
    ("$SYS/broker/load/bytes/received/1min", |f| {
        minute(f.load.bytes_received)
    }),
    ("$SYS/broker/load/bytes/received/5min", |f| {
        five_minutes(f.load.bytes_received)
    }),
    ("$SYS/broker/load/bytes/received/15min", |f| {
        fifteen_minutes(f.load.bytes_received)
    }),
    ("$SYS/broker/load/bytes/sent/1min", |f| {
        minute(f.load.bytes_sent)
    }),
    ("$SYS/broker/load/bytes/sent/5min", |f| {
        five_minutes(f.load.bytes_sent)
    }),
    ("$SYS/broker/load/bytes/sent/15min", |f| {
        fifteen_minutes(f.load.bytes_sent)
    }),
    ("$SYS/broker/load/messages/received/1min", |f| {
        minute(f.load.packets_received)
    }),
    ("$SYS/broker/load/messages/received/5min", |f| {
        five_minutes(f.load.packets_received)
    }),
    ("$SYS/broker/load/messages/received/15min", |f| {
        fifteen_minutes(f.load.packets_received)
    }),
    ("$SYS/broker/load/messages/sent/1min", |f| {
        minute(f.load.packets_sent)
    }),
    ("$SYS/broker/load/messages/sent/5min", |f| {
        five_minutes(f.load.packets_sent)
    }),
    ("$SYS/broker/load/messages/sent/15min", |f| {
        fifteen_minutes(f.load.packets_sent)
    }),
    ("$SYS/broker/load/publish/received/1min", |f| {
        minute(f.load.messages_received)
    }),
    ("$SYS/broker/load/publish/received/5min", |f| {
        five_minutes(f.load.messages_received)
    }),
    ("$SYS/broker/load/publish/received/15min", |f| {
        fifteen_minutes(f.load.messages_received)
    }),
    ("$SYS/broker/load/publish/sent/1min", |f| {
        minute(f.load.messages_sent)
    }),
    ("$SYS/broker/load/publish/sent/5min", |f| {
        five_minutes(f.load.messages_sent)
    }),
    ("$SYS/broker/load/publish/sent/15min", |f| {
        fifteen_minutes(f.load.messages_sent)
    }),
    ("$SYS/broker/load/publish/dropped/1min", |f| {
        minute(f.load.messages_dropped)
    }),
    ("$SYS/broker/load/publish/dropped/5min", |f| {
        five_minutes(f.load.messages_dropped)
    }),
    ("$SYS/broker/load/publish/dropped/15min", |f| {
        fifteen_minutes(f.load.messages_dropped)
    }),
];

#[cfg(test)]
mod tests {
    use partyline_plugin::protocol::TopicName;

    use super::*;
    use crate::config::LimitsConfig;

    #[test]
    fn every_topic_is_one_and_stands_once() {
        let limits = LimitsConfig::default().topic();
        let mut names: Vec<_> = TOPICS.iter().map(|(name, _)| *name).collect();
        assert!(
            names
                .iter()
                .all(|name| TopicName::parse(name, &limits).is_ok())
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TOPICS.len());
    }
}
