//! What the plugins declared and how their hooks fare, for people and programs to read.

use serde::Serialize;

/// All that packets meet, in the order in which they meet it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ChainDescription {
    /// Every hook. Those of one point are in the order of their calls.
    pub hooks: Vec<HookDescription>,
    /// Every observer.
    pub observers: Vec<ObserverDescription>,
    /// Who owns which `$` topics.
    pub namespaces: Vec<NamespaceDescription>,
    /// Commands, by topic.
    pub commands: Vec<CommandDescription>,
    /// Outlets.
    pub outlets: Vec<OutletDescription>,
}

impl ChainDescription {
    /// The order of calls in one line, for the log.
    pub(super) fn summary(&self) -> String {
        let mut points: Vec<(&str, Vec<&str>)> = Vec::new();
        for hook in &self.hooks {
            let name = match hook.phase {
                Some(phase) if hook.point == "publish" => phase,
                _ => hook.point,
            };
            match points.last_mut() {
                Some((last, plugins)) if *last == name => plugins.push(hook.plugin),
                _ => points.push((name, vec![hook.plugin])),
            }
        }
        let points = points.iter();
        points
            .map(|(point, plugins)| format!("{point}: {}", plugins.join(" > ")))
            .collect::<Vec<_>>()
            .join("; ")
    }
}

/// A hook and how it fares.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HookDescription {
    /// What it decides: `authenticate`, `authorize_publish`, `publish`, `will`,
    /// `authorize_subscribe`, `subscribe` or `deliver`.
    pub point: &'static str,
    /// The plugin's id.
    pub plugin: &'static str,
    /// Its phase, where there are phases: `rewrite`, `authorize`, `validate`, `transform`, `handle`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<&'static str>,
    /// The topics that it sees, where that is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The longest that a call may take, milliseconds; `None` = it has no deadline of its own.
    pub deadline_ms: Option<u64>,
    /// What a fault does: `deny` or `skip`.
    pub on_fault: &'static str,
    /// Whether it is not called for the time being, since it faulted too often.
    pub breaker_open: bool,
    /// How often it was called, and how that ended.
    #[serde(flatten)]
    pub counts: HookCounts,
}

/// Counters since the start.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HookCounts {
    /// Calls made.
    pub calls: u64,
    /// Calls that ended with an error.
    pub errors: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// Calls that missed the deadline.
    pub timeouts: u64,
    /// Calls that were not made, since the breaker was open.
    pub withheld: u64,
    /// What the calls took together, microseconds; after a thousand calls, told from a sample.
    pub total_micros: u64,
    /// How long calls took, each in one bucket; after a thousand calls, told from a sample.
    pub latency: Vec<LatencyBucket>,
}

/// Calls of about one length.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LatencyBucket {
    /// The longest of them, microseconds, above the bucket before; `None` = without bound.
    pub up_to_micros: Option<u64>,
    /// How many.
    pub calls: u64,
}

/// An observer and how it keeps up.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ObserverDescription {
    /// The plugin's id.
    pub plugin: &'static str,
    /// What it is told of.
    pub events: Vec<&'static str>,
    /// Events that its queue holds at most.
    pub capacity: usize,
    /// Events that wait now.
    pub waiting: usize,
    /// Events that it was told of.
    pub observed: u64,
    /// Events that found the queue full.
    pub dropped: u64,
    /// Calls that panicked.
    pub panics: u64,
}

/// A part of the `$` topics.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct NamespaceDescription {
    /// Topics that begin with this.
    pub prefix: &'static str,
    /// The plugin's id.
    pub plugin: &'static str,
}

/// A command.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct CommandDescription {
    /// Its topic.
    pub topic: &'static str,
    /// Where its replies go, unless the request says otherwise.
    pub reply_topic: &'static str,
    /// The plugin's id.
    pub plugin: &'static str,
}

/// A topic that a plugin delivers.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct OutletDescription {
    /// The topic.
    pub topic: &'static str,
    /// Its QoS.
    pub qos: u8,
    /// Who may subscribe: `devices` or `servers`.
    pub audience: &'static str,
    /// The plugin's id.
    pub plugin: &'static str,
}
