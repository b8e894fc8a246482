//! How long each part of a run took.

use std::time::{Duration, Instant};

#[derive(Default)]
pub(super) struct Phases {
    finished: Vec<(&'static str, Duration)>,
}

impl Phases {
    /// Announces a phase, waits for it and notes its duration, also when it fails.
    pub(super) async fn time<T>(
        &mut self,
        name: &'static str,
        phase: impl Future<Output = T>,
    ) -> T {
        println!("test: {name}");
        let start = Instant::now();
        let outcome = phase.await;
        self.finished.push((name, start.elapsed()));
        outcome
    }

    pub(super) fn print(&self) {
        for (name, duration) in &self.finished {
            println!("{name:<13}{:>8.1} s", duration.as_secs_f64());
        }
    }
}
