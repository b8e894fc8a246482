//! When the server is killed: at a moment that a client has just observed.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// What a client observes about one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// It was sent and nothing has come back: its commit lies ahead or is going on.
    Sent,
    /// A device has it, so it is committed, and its sender has not been answered.
    DeliveredUnacknowledged,
    /// Its sender has been answered, and no device of the receiver has it.
    AcknowledgedUndelivered,
    /// One device of the receiver has it and another has not.
    HalfDelivered,
}

/// How far it has come with the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The moment is there: no client reads on.
    Chosen,
    Killed,
}

/// The end of one run of the server. What the clients know stays as it is from the moment on.
pub(super) struct Kill {
    /// How many acknowledgements must have come, and the moment after them. `None` = no kill.
    at: Option<(usize, Moment)>,
    acknowledged: AtomicUsize,
    phase: watch::Sender<Phase>,
}

impl Kill {
    pub(super) fn new(at: Option<(usize, Moment)>) -> Self {
        Self {
            at,
            acknowledged: AtomicUsize::new(0),
            phase: watch::Sender::new(Phase::Running),
        }
    }

    pub(super) fn count_acknowledgement(&self) {
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    /// What a journal says is observed while it is locked, so that it still holds afterwards.
    pub(super) fn observe(&self, moment: Moment) {
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        if self
            .at
            .is_some_and(|(after, wanted)| wanted == moment && acknowledged >= after)
        {
            self.phase
                .send_if_modified(|phase| match std::mem::replace(phase, Phase::Chosen) {
                    Phase::Running => true,
                    later => {
                        *phase = later;
                        false
                    }
                });
        }
    }

    pub(super) fn is_chosen(&self) -> bool {
        *self.phase.borrow() != Phase::Running
    }

    pub(super) async fn chosen(&self) {
        self.reaches(|phase| phase != Phase::Running).await;
    }

    /// Clients keep their connections until then, so that the server doesn't see them go.
    pub(super) async fn killed(&self) {
        self.reaches(|phase| phase == Phase::Killed).await;
    }

    pub(super) fn is_done(&self) {
        self.phase.send_replace(Phase::Killed);
    }

    async fn reaches(&self, wanted: impl Fn(Phase) -> bool) {
        // The sender is ours, so the channel does not end.
        drop(
            self.phase
                .subscribe()
                .wait_for(|phase| wanted(*phase))
                .await,
        );
    }
}
