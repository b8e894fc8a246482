//! How the plugins' hooks and observers fare, in `/metrics`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::expose::Page;
use crate::plugins::{ChainDescription, HookCounts, HookDescription};

/// Which hooks are counted together: a plugin may have several at one point.
type Key = [(&'static str, &'static str); 3];

fn key(hook: &HookDescription) -> Key {
    [
        ("point", hook.point),
        ("phase", hook.phase.unwrap_or_default()),
        ("plugin", hook.plugin),
    ]
}

#[derive(Default)]
struct Sum {
    calls: u64,
    errors: u64,
    panics: u64,
    timeouts: u64,
    withheld: u64,
    micros: u64,
    /// By the upper bound in microseconds, the unbounded one last.
    took: BTreeMap<u64, u64>,
    breakers_open: u64,
}

impl Sum {
    fn add(&mut self, hook: &HookDescription) {
        let HookCounts {
            calls,
            errors,
            panics,
            timeouts,
            withheld,
            total_micros,
            latency,
        } = &hook.counts;
        self.calls += calls;
        self.errors += errors;
        self.panics += panics;
        self.timeouts += timeouts;
        self.withheld += withheld;
        self.micros += total_micros;
        self.breakers_open += u64::from(hook.breaker_open);
        for bucket in latency {
            let bound = bucket.up_to_micros.unwrap_or(u64::MAX);
            *self.took.entry(bound).or_default() += bucket.calls;
        }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let buckets: Vec<(f64, u64)> = self
            .took
            .iter()
            .map(|(bound, calls)| (seconds(*bound), *calls))
            .collect();
        let calls = self.took.values().sum();
        encoder.encode_histogram::<NoLabelSet>(seconds(self.micros), calls, &buckets, None)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a time for people")]
fn seconds(micros: u64) -> f64 {
    match micros {
        u64::MAX => f64::INFINITY,
        micros => micros as f64 / 1e6,
    }
}

pub(super) fn encode(page: &mut Page<'_>, chain: &ChainDescription) -> fmt::Result {
    let mut hooks: BTreeMap<Key, Sum> = BTreeMap::new();
    for hook in &chain.hooks {
        hooks.entry(key(hook)).or_default().add(hook);
    }
    if !hooks.is_empty() {
        let (name, help) = ("hook_seconds", "Time that calls of plugins' hooks took");
        let mut family = page
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (key, sum) in &hooks {
            sum.encode(family.encode_family(key)?)?;
        }
        let (name, help) = ("hook_calls", "Calls of plugins' hooks");
        let mut family = page
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (key, sum) in &hooks {
            ConstCounter::new(sum.calls).encode(family.encode_family(key)?)?;
        }
        let (name, help) = (
            "hook_faults",
            "Hooks that could not decide, by kind; `withheld` = not called, the breaker was open",
        );
        let mut family = page
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for ([point, phase, plugin], sum) in &hooks {
            for (kind, count) in [
                ("error", sum.errors),
                ("panic", sum.panics),
                ("timeout", sum.timeouts),
                ("withheld", sum.withheld),
            ] {
                let labels = [*point, *phase, *plugin, ("kind", kind)];
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let (name, help) = ("hook_breakers_open", "Hooks that are not called for now");
        let mut family = page
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (key, sum) in &hooks {
            ConstGauge::new(sum.breakers_open).encode(family.encode_family(key)?)?;
        }
    }
    encode_observers(page, chain)
}

fn encode_observers(page: &mut Page<'_>, chain: &ChainDescription) -> fmt::Result {
    #[derive(Default)]
    struct Kept {
        observed: u64,
        dropped: u64,
        waiting: u64,
    }
    let mut plugins: HashMap<&str, Kept> = HashMap::new();
    for one in &chain.observers {
        let kept = plugins.entry(one.plugin).or_default();
        kept.observed += one.observed;
        kept.dropped += one.dropped;
        kept.waiting += one.waiting as u64;
    }
    if plugins.is_empty() {
        return Ok(());
    }
    for (name, help, of) in [
        (
            "observer_events",
            "Events that plugins' observers were told of",
            (|kept| kept.observed) as fn(&Kept) -> u64,
        ),
        (
            "observer_events_dropped",
            "Events that found an observer's queue full",
            |kept| kept.dropped,
        ),
    ] {
        let each = plugins.iter().map(|(plugin, kept)| (*plugin, of(kept)));
        page.counters(name, help, "plugin", each)?;
    }
    let each = plugins.iter().map(|(plugin, kept)| (*plugin, kept.waiting));
    page.gauges(
        "observer_queue",
        "Events that wait for an observer",
        "plugin",
        each,
    )
}
