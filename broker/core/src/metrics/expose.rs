//! The kernel's part of `/metrics`: every name, and what it means.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use partyline_plugin::database::Database;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use super::{ListenerKind, NoConnect, hooks};
use crate::kernel::Kernel;

/// Before every name of the kernel.
const PREFIX: &str = "partyline";
const QOS: [&str; 3] = ["0", "1", "2"];
/// In the order of [`super::Drops`].
const DROPS: [&str; 3] = ["queue_full", "too_large", "expired"];

/// Reads the kernel's counters when it is asked.
pub(crate) struct Exposition {
    kernel: Arc<Kernel>,
    database: Database,
}

impl Exposition {
    /// A registry with the kernel's metrics.
    pub(crate) fn registry(kernel: &Arc<Kernel>, database: Database) -> Registry {
        let mut registry = Registry::with_prefix(PREFIX);
        let kernel = Arc::clone(kernel);
        registry.register_collector(Box::new(Self { kernel, database }));
        registry
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exposition")
    }
}

impl Collector for Exposition {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        let (kernel, metrics) = (&*self.kernel, &self.kernel.metrics);
        let survey = kernel.survey();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);

        page.gauges(
            "build_info",
            "The version, as a label of the value 1",
            "version",
            [(env!("CARGO_PKG_VERSION"), 1_u64)],
        )?;
        page.gauge(
            "uptime_seconds",
            "Time since the start",
            metrics.started.elapsed().as_secs(),
        )?;
        page.gauge(
            "connections",
            "Open sockets of clients, before and after their CONNECT",
            load_size(&kernel.open_connections),
        )?;
        page.counters(
            "connections_accepted",
            "Sockets that were accepted, by listener",
            "listener",
            ListenerKind::ALL
                .iter()
                .zip(&metrics.accepted)
                .map(|(kind, count)| (kind.name(), load(count))),
        )?;
        page.counter(
            "connects",
            "Connections that were let in",
            survey.totals.connects,
        )?;
        let no_connect = NoConnect::ALL.iter().zip(&metrics.no_connect);
        page.counters(
            "connects_refused",
            "Connections that were not let in, by reason",
            "reason",
            no_connect
                .map(|(why, count)| (why.name().to_owned(), load(count)))
                .chain(metrics.connects_refused.counts()),
        )?;
        page.histogram(
            "connect_seconds",
            "Time from the accepted socket to the CONNACK that lets it in",
            &metrics.connect_seconds,
        )?;
        page.counters(
            "disconnects",
            "Connections that the broker ended, by reason",
            "reason",
            metrics.disconnects.counts(),
        )?;
        page.gauges(
            "sessions",
            "Sessions, with and without a connection",
            "state",
            [
                ("attached", survey.connected),
                ("detached", survey.sessions.saturating_sub(survey.connected)),
            ],
        )?;
        page.gauge(
            "apps",
            "Apps that had a session since the start",
            survey.apps,
        )?;
        page.gauge(
            "subscriptions",
            "Subscriptions to plain topics",
            survey.subscriptions,
        )?;
        page.gauge(
            "retained_messages",
            "Retained messages",
            survey.retained_messages,
        )?;
        page.gauge(
            "retained_bytes",
            "Bytes of retained messages, overhead included",
            survey.retained_bytes,
        )?;

        let totals = &survey.totals;
        for (name, help, by_qos) in [
            (
                "messages_received",
                "PUBLISH from clients, by QoS",
                totals.messages_received,
            ),
            (
                "messages_sent",
                "PUBLISH to clients, by QoS",
                totals.messages_sent,
            ),
        ] {
            page.counters(name, help, "qos", QOS.into_iter().zip(by_qos))?;
        }
        page.counters(
            "messages_dropped",
            "Messages that a session's queue did not send, by cause",
            "cause",
            DROPS.into_iter().zip(totals.dropped),
        )?;
        page.counters(
            "publishes_refused",
            "PUBLISH from clients that was refused, by reason",
            "reason",
            metrics.publishes_refused.counts(),
        )?;
        for (name, help, count) in [
            (
                "packets_received",
                "MQTT packets from clients",
                totals.packets_received,
            ),
            (
                "packets_sent",
                "MQTT packets to clients",
                totals.packets_sent,
            ),
            (
                "bytes_received",
                "Bytes of MQTT from clients",
                totals.bytes_received,
            ),
            ("bytes_sent", "Bytes of MQTT to clients", totals.bytes_sent),
        ] {
            page.counter(name, help, count)?;
        }

        page.counter(
            "database_commits",
            "Transactions that the write queue committed",
            self.database.commits(),
        )?;
        page.gauge(
            "database_write_queue",
            "Transactions that run or wait their turn",
            self.database.unfinished_writes() as u64,
        )?;
        hooks::encode(&mut page, &kernel.describe())
    }
}

fn load_size(counter: &std::sync::atomic::AtomicUsize) -> u64 {
    counter.load(Ordering::Relaxed) as u64
}

/// Writes one metric after the other.
pub(crate) struct Page<'a>(pub(crate) DescriptorEncoder<'a>);

impl Page<'_> {
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    pub(crate) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: impl EncodeGaugeValue,
    ) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    /// One counter for each value of a label.
    pub(super) fn counters<L: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (value, count) in values {
            let labels = [(label, value.as_ref())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// One gauge for each value of a label.
    pub(super) fn gauges<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (value, count) in values {
            let labels = [(label, value)];
            ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, value: &impl EncodeMetric) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        value.encode(encoder)
    }
}
