//! The delivery of one stream to one login on one connection: what was sent, what is safe.

mod reasons;
mod settle;

use parking_lot::Mutex;
use partyline_plugin::{SessionHandle, SessionInfo};
use partyline_protocol::{Configured, Epoch, Member, RegistrationId, Seq};
use tokio::sync::Notify;

pub(crate) use reasons::Reason;
use reasons::Reasons;

use crate::store::{Opened, Place, Start, StreamId};

/// One login's inbox. Whoever sets it running drains it until nothing is left, so that an idle
/// connection costs no task.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(super) owner: Member,
    pub(super) device: RegistrationId,
    pub(super) handle: SessionHandle,
    max_packet: Option<u32>,
    state: Mutex<State>,
    /// Rung when what [`Inbox::looked_up`] waits for may have come.
    looked: Notify,
}

#[derive(Debug)]
struct State {
    delivery: Delivery,
    reasons: Reasons,
    task: Task,
    settings: Configured,
    place: Option<Known>,
    /// The start that the next look at the store asks for.
    start: Option<Start>,
    /// Whether the store is being asked where the device is.
    looking: bool,
    /// Whether the store may hold something that was not announced.
    stale: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// Nothing is sent.
    Closed,
    /// Everything is sent.
    Open,
    /// The client refused a batch: nothing is sent until it asks again.
    Refused,
    /// The connection or the login is over, for good.
    Over,
}

/// The task that drains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    /// There is none.
    Away,
    /// It has seen everything so far.
    There,
    /// Something happened that it may not have seen.
    Behind,
}

#[derive(Debug)]
struct Known {
    stream: StreamId,
    epoch: Epoch,
    /// The newest item when the store was last looked at.
    head: Seq,
    /// What was in the stream before is not live to this session.
    live_after: Seq,
    /// Where the last batch ended.
    prev: Seq,
    /// The highest place that was sent.
    sent: Seq,
    /// What the device acknowledged.
    cursor: Seq,
    /// Whether the device is new: it acknowledged nothing yet and was sent nothing here.
    untouched: bool,
}

/// What the task that drains is to do next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Look where the device is.
    Load(Start),
    /// Look how far the stream goes.
    Refresh,
    /// Send what follows.
    Send(Sending),
    /// Nothing more: the task has left.
    Leave,
}

#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) stream: StreamId,
    pub(super) epoch: Epoch,
    pub(super) prev: Seq,
    pub(super) head: Seq,
    pub(super) live_after: Seq,
    /// The highest place that was sent before.
    sent: Seq,
    /// Whether nothing was sent before.
    untouched: bool,
    /// The most bytes of a packet.
    pub(super) limit: usize,
}

impl Inbox {
    pub(super) fn new(session: &SessionInfo, owner: Member, device: RegistrationId) -> Self {
        Self {
            owner,
            device,
            handle: session.handle(),
            max_packet: session.max_packet_size,
            state: Mutex::new(State {
                delivery: Delivery::Closed,
                reasons: Reasons::default(),
                task: Task::Away,
                settings: Configured::default(),
                place: None,
                start: None,
                looking: false,
                stale: false,
            }),
            looked: Notify::new(),
        }
    }

    pub(crate) fn device(&self) -> &RegistrationId {
        &self.device
    }

    /// The values in force.
    pub(super) fn settings(&self) -> Configured {
        let state = self.state.lock();
        Configured {
            deliver: state.delivery == Delivery::Open,
            ..state.settings.clone()
        }
    }

    /// Changes how it delivers.
    pub(super) fn configure(&self, settings: Configured) {
        let mut state = self.state.lock();
        let roams = settings.roaming && !state.settings.roaming;
        state.settings = settings;
        if roams && state.place.as_ref().is_some_and(|place| place.untouched) {
            // The subscription came before the wish; nothing has been sent, so there is still time.
            state.start = Some(Start::OldestAgain);
        }
    }

    /// Begins to deliver, or begins again after a refusal. True if a task is to be started.
    #[must_use]
    pub(super) fn open(&self, reason: Reason) -> bool {
        let mut state = self.state.lock();
        match state.delivery {
            Delivery::Over => return false,
            Delivery::Open => {}
            Delivery::Closed | Delivery::Refused => {
                state.delivery = Delivery::Open;
                // What was announced in the meantime went past this inbox.
                state.start.get_or_insert(Start::Acknowledged);
            }
        }
        state.reasons.add(reason);
        state.wake()
    }

    /// Stops to deliver for this reason; true if there is no other. What is in flight may still be
    /// acknowledged.
    pub(super) fn close(&self, reason: Reason) -> bool {
        let mut state = self.state.lock();
        state.reasons.remove(reason);
        if state.reasons.any() {
            return false;
        }
        if state.delivery != Delivery::Over {
            state.delivery = Delivery::Closed;
        }
        drop(state);
        self.looked.notify_waiters();
        true
    }

    /// Whether it has ended for good.
    pub(super) fn is_over(&self) -> bool {
        self.state.lock().delivery == Delivery::Over
    }

    /// Ends it for good.
    pub(super) fn end(&self) {
        self.state.lock().delivery = Delivery::Over;
        self.looked.notify_waiters();
    }

    /// Something new may be there. True if a task is to be started.
    #[must_use]
    pub(super) fn wake(&self) -> bool {
        self.state.lock().wake()
    }

    /// The store may hold something that is not announced. True if a task is to be started.
    #[must_use]
    pub(super) fn refresh(&self) -> bool {
        let mut state = self.state.lock();
        state.stale = true;
        state.wake()
    }

    /// Whether a task drains it.
    pub(super) fn is_running(&self) -> bool {
        self.state.lock().task != Task::Away
    }

    /// Whether it is known where the device is.
    pub(super) fn is_known(&self) -> bool {
        self.state.lock().place.is_some()
    }

    /// Returns once it is known where the device is, or nobody looks any more.
    pub(super) async fn looked_up(&self) {
        loop {
            // Before the question: what is rung from here on is heard.
            let rung = self.looked.notified();
            {
                let state = self.state.lock();
                let unknown = state.looking || state.start.is_some() || state.place.is_none();
                if state.delivery != Delivery::Open || !unknown {
                    return;
                }
            }
            rung.await;
        }
    }

    /// What the task that drains is to do now.
    pub(super) fn turn(&self) -> Turn {
        let mut state = self.state.lock();
        if state.delivery != Delivery::Open {
            state.task = Task::Away;
            return Turn::Leave;
        }
        state.task = Task::There;
        let limit = self.limit_under(&state.settings);
        // Taken before the store is asked, so that a wish that comes meanwhile stays.
        let start = state.start.take();
        let stale = std::mem::take(&mut state.stale);
        match (&state.place, start) {
            (Some(_), None) if stale => Turn::Refresh,
            (Some(place), None) => Turn::Send(Sending {
                stream: place.stream,
                epoch: place.epoch.clone(),
                prev: place.prev,
                head: place.head,
                live_after: place.live_after,
                sent: place.sent,
                untouched: place.untouched,
                limit,
            }),
            (_, start) => {
                state.looking = true;
                Turn::Load(match start {
                    Some(Start::Acknowledged) | None if state.settings.roaming => Start::Oldest,
                    start => start.unwrap_or(Start::Acknowledged),
                })
            }
        }
    }

    /// Takes what the store said to a [`Turn::Load`].
    pub(super) fn loaded(&self, opened: Opened, start: Start) {
        let Opened {
            place,
            cursor,
            untouched,
        } = opened;
        let mut state = self.state.lock();
        state.looking = false;
        let known = state
            .place
            .take()
            .filter(|known| known.epoch == place.epoch && start != Start::OldestAgain);
        // On from what the device acknowledged: what was refused, or sent and not acknowledged
        // before delivery was closed, is sent again.
        let cursor = known
            .as_ref()
            .map_or(cursor, |known| known.cursor.max(cursor));
        let sent = known
            .as_ref()
            .map_or(cursor, |known| known.sent.max(cursor));
        let untouched = untouched && known.is_none_or(|known| known.untouched);
        if state.settings.roaming && untouched && start != Start::OldestAgain {
            // The wish for the kept history came after the place was stored: while the store was
            // asked, or on a later connection than the first.
            state.start = Some(Start::OldestAgain);
        }
        state.place = Some(Known {
            stream: place.stream,
            epoch: place.epoch,
            head: place.head,
            live_after: place.head,
            prev: cursor,
            sent,
            cursor,
            untouched,
        });
        drop(state);
        self.looked.notify_waiters();
    }

    /// The store said nothing to a [`Turn::Load`]: it is asked again.
    pub(super) fn not_loaded(&self, start: Start) {
        let mut state = self.state.lock();
        state.looking = false;
        if start == Start::OldestAgain {
            state.start = Some(start);
        } else {
            state.start.get_or_insert(start);
        }
    }

    /// Takes what the store said to a [`Turn::Refresh`]. Where the last batch ended stays.
    pub(super) fn refreshed(&self, place: &Place) {
        let mut state = self.state.lock();
        match &mut state.place {
            Some(known) if known.epoch == place.epoch => known.head = known.head.max(place.head),
            _ => {
                state.start.get_or_insert(Start::Acknowledged);
            }
        }
    }

    /// The store said nothing to a [`Turn::Refresh`]: it is asked again.
    pub(super) fn not_refreshed(&self) {
        self.state.lock().stale = true;
    }

    /// Whether the task may leave: everything is sent and nothing has happened since its turn.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.state.lock();
        let leaves = state.task != Task::Behind;
        if leaves {
            state.task = Task::Away;
        }
        leaves
    }

    /// The most bytes of a packet to this client.
    pub(crate) fn packet_limit(&self) -> usize {
        self.limit_under(&self.state.lock().settings)
    }

    fn limit_under(&self, settings: &Configured) -> usize {
        let max_batch = settings.max_batch.get();
        self.max_packet.map_or(max_batch, |max| max.min(max_batch)) as usize
    }
}

impl State {
    fn wake(&mut self) -> bool {
        if self.delivery != Delivery::Open {
            return false;
        }
        std::mem::replace(&mut self.task, Task::Behind) == Task::Away
    }
}

#[cfg(test)]
mod tests;
