//! A plugin's figures, which the broker shows at `/metrics`.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::{counter, gauge, histogram};
use prometheus_client::registry::{Metric, Registry};

/// Makes a plugin's metrics. Cheap to clone.
///
/// Every name gets `plugin_{id}_` in front, so that no plugin can take another's; what is no letter
/// or digit in the id becomes `_`. The same name asked for again gives the same metric.
///
/// ```
/// use partyline_plugin::Meter;
///
/// let meter = Meter::new("im");
/// let sent = meter.counter("messages_sent", "Messages that were stored");
/// sent.inc();
/// assert!(meter.text().contains("plugin_im_messages_sent_total 1"));
/// ```
#[derive(Clone)]
pub struct Meter(Arc<Mutex<Made>>);

struct Made {
    plugin: &'static str,
    registry: Registry,
    known: HashMap<String, Known>,
}

#[derive(Clone)]
enum Known {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

/// Only goes up. Its name is shown with `_total` behind it. Counting is one atomic addition.
#[derive(Debug, Clone, Default)]
pub struct Counter(counter::Counter);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// So many more.
    pub fn add(&self, count: u64) {
        self.0.inc_by(count);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// Goes up and down.
#[derive(Debug, Clone, Default)]
pub struct Gauge(gauge::Gauge);

impl Gauge {
    /// The present value.
    pub fn set(&self, value: i64) {
        self.0.set(value);
    }

    /// Adds, or takes away what is negative.
    pub fn add(&self, value: i64) {
        self.0.inc_by(value);
    }

    /// The value.
    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// Sorts values into buckets. Takes a short lock.
#[derive(Debug, Clone)]
pub struct Histogram(histogram::Histogram);

impl Histogram {
    /// Adds a value. Times are in seconds: better use [`Histogram::time`].
    pub fn observe(&self, value: f64) {
        self.0.observe(value);
    }

    /// Adds a time, in seconds.
    pub fn time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }
}

impl Meter {
    /// The meter of a plugin; made by the host and by test doubles.
    pub fn new(plugin: &'static str) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let prefix: String = "plugin_".chars().chain(plugin.chars()).map(plain).collect();
        Self(Arc::new(Mutex::new(Made {
            plugin,
            registry: Registry::with_prefix(prefix),
            known: HashMap::new(),
        })))
    }

    /// A counter; `name` without `_total`, and `help` in a few words.
    pub fn counter(&self, name: &str, help: &str) -> Counter {
        let new = Counter::default();
        let made = self.make(name, help, Known::Counter(new.clone()), new.0.clone());
        match made {
            Some(Known::Counter(counter)) => counter,
            _ => new,
        }
    }

    /// A gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Gauge {
        let new = Gauge::default();
        let made = self.make(name, help, Known::Gauge(new.clone()), new.0.clone());
        match made {
            Some(Known::Gauge(gauge)) => gauge,
            _ => new,
        }
    }

    /// A histogram with these upper bounds, in ascending order. Its name should end with the unit,
    /// such as `_seconds`.
    pub fn histogram(&self, name: &str, help: &str, bounds: &[f64]) -> Histogram {
        let new = Histogram(histogram::Histogram::new(bounds.iter().copied()));
        let made = self.make(name, help, Known::Histogram(new.clone()), new.0.clone());
        match made {
            Some(Known::Histogram(histogram)) => histogram,
            _ => new,
        }
    }

    /// The metric of this name, `new` if there is none yet. `None` if the name cannot stand; what
    /// is counted then is shown nowhere, and the log says so.
    fn make(&self, name: &str, help: &str, new: Known, shown: impl Metric) -> Option<Known> {
        let mut made = self.0.lock();
        let plugin = made.plugin;
        if let Some(known) = made.known.get(name) {
            if std::mem::discriminant(known) != std::mem::discriminant(&new) {
                tracing::error!(plugin, name, "a metric's name is taken by another kind");
            }
            return Some(known.clone());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(plain) {
            tracing::error!(
                plugin,
                name,
                "a metric's name may hold letters, digits and _"
            );
            return None;
        }
        made.registry.register(name, help, shown);
        made.known.insert(name.to_owned(), new.clone());
        Some(new)
    }

    /// All of them in Prometheus' text format, version 0.0.4; for the host.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // A string takes everything.
        let _ = prometheus_text::encode(&mut text, &self.0.lock().registry);
        text
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Meter({})", self.0.lock().plugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_within_the_plugins_own() {
        let meter = Meter::new("open-door");
        meter.counter("a", "A").add(2);
        meter.gauge("b", "B").set(-3);
        meter
            .histogram("c_seconds", "C", &[0.1, 1.0])
            .time(Duration::from_millis(500));
        let text = meter.text();
        for line in [
            "# HELP plugin_open_door_a_total A.",
            "plugin_open_door_a_total 2",
            "plugin_open_door_b -3",
            "plugin_open_door_c_seconds_bucket{le=\"0.1\"} 0",
            "plugin_open_door_c_seconds_bucket{le=\"1\"} 1",
            "plugin_open_door_c_seconds_count 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_name_is_one_metric_and_a_bad_one_is_none() {
        let meter = Meter::new("x");
        meter.counter("a", "A").inc();
        assert_eq!(meter.counter("a", "A").get(), 1);
        meter.gauge("a", "A").set(7);
        meter.counter("b c\n", "B").inc();
        assert_eq!(meter.text().lines().count(), 3, "{}", meter.text());
    }
}
