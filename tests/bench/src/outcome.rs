//! What a scenario found.

use std::fmt;
use std::time::Duration;

use crate::load::Pass;
use crate::stream::Faults;

/// One number with its name and unit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) figures: Vec<Figure>,
    pub(crate) faults: Faults,
}

impl Outcome {
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.figures.push(Figure { name, value });
    }

    /// Messages a second, latency, and what the broker and the generator spent on each delivery.
    pub(crate) fn add_pass(&mut self, pass: &Pass) {
        self.add("messages", float(pass.messages));
        self.add("deliveries", float(pass.deliveries));
        let seconds = pass.elapsed.as_secs_f64();
        self.add("deliveries_per_second", float(pass.deliveries) / seconds);
        if let Some(cpu) = pass.cpu {
            self.add("cpu_us_each", micros_each(cpu, pass.deliveries));
        }
        for (name, quantile) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
            self.add(name, float(pass.latency.value_at_quantile(quantile)) / 1e6);
        }
        let own = micros_each(pass.own_cpu, pass.deliveries);
        self.add("generator_cpu_us_each", own);
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        let mut figures = self.figures.iter();
        figures
            .find(|figure| figure.name == name)
            .map(|figure| figure.value)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Figure { name, value } in &self.figures {
            let digits = if value.fract() == 0.0 { 0 } else { 3 };
            write!(f, "{name}={value:.digits$} ")?;
        }
        write!(f, "{}", self.faults)
    }
}

pub(crate) fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / float(count.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a figure to read")]
pub(crate) fn float(number: u64) -> f64 {
    number as f64
}
