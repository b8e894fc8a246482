//! The delivery of one stream to one login on one connection: what was sent, what is safe.

use parking_lot::Mutex;
use partyline_plugin::{SessionHandle, SessionInfo, TrackedOutcome};
use partyline_protocol::{
    AckMode, Configured, Epoch, ErrorCode, Member, RegistrationId, RequestError, Seq,
};

use crate::store::{CursorMove, Opened, Start, StreamId};

/// One login's inbox. Whoever sets it running drains it until nothing is left, so that an idle
/// connection costs no task.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(super) owner: Member,
    pub(super) device: RegistrationId,
    pub(super) handle: SessionHandle,
    max_packet: Option<u32>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    delivery: Delivery,
    /// Whether a task drains it.
    running: bool,
    /// Whether something happened that the task may not have seen.
    again: bool,
    settings: Configured,
    place: Option<Known>,
    /// The start that the next look at the store asks for.
    start: Option<Start>,
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
    /// Whether the device starts here for the first time and has been sent nothing.
    untouched: bool,
}

/// What the task that drains is to do next.
#[derive(Debug)]
pub(super) enum Turn {
    /// Look where the device is.
    Load(Start),
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
                running: false,
                again: false,
                settings: Configured::default(),
                place: None,
                start: None,
            }),
        }
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
    pub(super) fn open(&self) -> bool {
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
        state.wake()
    }

    /// Stops to deliver. What is in flight may still be acknowledged.
    pub(super) fn close(&self) {
        let mut state = self.state.lock();
        if state.delivery != Delivery::Over {
            state.delivery = Delivery::Closed;
        }
    }

    /// Whether it has ended for good.
    pub(super) fn is_over(&self) -> bool {
        self.state.lock().delivery == Delivery::Over
    }

    /// Ends it for good.
    pub(super) fn end(&self) {
        self.state.lock().delivery = Delivery::Over;
    }

    /// Something new may be there. True if a task is to be started.
    #[must_use]
    pub(super) fn wake(&self) -> bool {
        self.state.lock().wake()
    }

    /// What the task that drains is to do now.
    pub(super) fn turn(&self) -> Turn {
        let mut state = self.state.lock();
        state.again = false;
        if state.delivery != Delivery::Open {
            state.running = false;
            return Turn::Leave;
        }
        let limit = self.limit_under(&state.settings);
        let roaming = state.settings.roaming;
        match (&state.place, state.start) {
            (Some(place), None) => Turn::Send(Sending {
                stream: place.stream,
                epoch: place.epoch.clone(),
                prev: place.prev,
                head: place.head,
                live_after: place.live_after,
                limit,
            }),
            (_, Some(Start::Acknowledged) | None) if roaming => Turn::Load(Start::Oldest),
            (_, start) => Turn::Load(start.unwrap_or(Start::Acknowledged)),
        }
    }

    /// Takes what the store said to a [`Turn::Load`].
    pub(super) fn loaded(&self, opened: Opened, start: Start) {
        let Opened {
            place,
            cursor,
            first_seen,
        } = opened;
        let mut state = self.state.lock();
        let known = state
            .place
            .take()
            .filter(|known| known.epoch == place.epoch && start != Start::OldestAgain);
        // The wish for the kept history may have come while the store was asked.
        let wished = state.settings.roaming && start == Start::Acknowledged && first_seen;
        let wished = wished || state.start == Some(Start::OldestAgain);
        state.start = (wished && start != Start::OldestAgain).then_some(Start::OldestAgain);
        // On from what the device acknowledged: what was refused, or sent and not acknowledged
        // before delivery was closed, is sent again.
        let cursor = known
            .as_ref()
            .map_or(cursor, |known| known.cursor.max(cursor));
        let sent = known
            .as_ref()
            .map_or(cursor, |known| known.sent.max(cursor));
        let untouched = known.map_or(first_seen, |known| known.untouched);
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
    }

    /// Whether the task may leave: everything is sent and nothing has happened since its turn.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.state.lock();
        state.running = state.again;
        !state.running
    }

    /// A batch is about to be sent.
    pub(super) fn sending(&self, seq: Seq) {
        if let Some(place) = &mut self.state.lock().place {
            place.prev = seq;
            place.sent = place.sent.max(seq);
            place.untouched = false;
        }
    }

    /// How a batch ended. Gives the way of the cursor where it moved.
    pub(super) fn settled(
        &self,
        outcome: TrackedOutcome,
        batch: &Sending,
        seq: Seq,
    ) -> Option<CursorMove> {
        let mut state = self.state.lock();
        match outcome {
            TrackedOutcome::Acked if state.settings.ack == AckMode::Auto => {
                let place = state
                    .place
                    .as_mut()
                    .filter(|place| place.epoch == batch.epoch)?;
                // Only from where the batch began: what lies before it may be missing.
                (place.cursor >= batch.prev)
                    .then(|| self.advance(place, seq))
                    .flatten()
            }
            TrackedOutcome::Acked => None,
            // Sent again once the client asks: by a subscription, a sync or configure.
            TrackedOutcome::Refused(_) | TrackedOutcome::TooLarge | TrackedOutcome::Full => {
                if state.delivery == Delivery::Open {
                    state.delivery = Delivery::Refused;
                }
                None
            }
            TrackedOutcome::Gone => {
                state.delivery = Delivery::Over;
                None
            }
        }
    }

    /// A page that the client asked for by hand: it counts as sent if it joins what was sent.
    pub(crate) fn paged(&self, epoch: &Epoch, prev: Seq, seq: Seq) {
        if let Some(place) = &mut self.state.lock().place
            && place.epoch == *epoch
            && prev <= place.sent
        {
            place.sent = place.sent.max(seq);
        }
    }

    /// The client has everything up to `seq`. Gives where the cursor stands and how it got there.
    pub(crate) fn acknowledge(
        &self,
        epoch: &Epoch,
        seq: Seq,
    ) -> Result<(Seq, Option<CursorMove>), RequestError> {
        let mut state = self.state.lock();
        let Some(place) = &mut state.place else {
            return Err(beyond(seq, Seq::ZERO));
        };
        if place.epoch != *epoch {
            return Err(ErrorCode::WrongEpoch.into());
        }
        if seq > place.sent {
            return Err(beyond(seq, place.sent));
        }
        let moved = self.advance(place, seq);
        Ok((place.cursor, moved))
    }

    /// The most bytes of a packet to this client.
    pub(crate) fn packet_limit(&self) -> usize {
        self.limit_under(&self.state.lock().settings)
    }

    fn limit_under(&self, settings: &Configured) -> usize {
        let max_batch = settings.max_batch.get();
        self.max_packet.map_or(max_batch, |max| max.min(max_batch)) as usize
    }

    fn advance(&self, place: &mut Known, to: Seq) -> Option<CursorMove> {
        let from = place.cursor;
        if to <= from {
            return None;
        }
        place.cursor = to;
        Some(CursorMove {
            stream: place.stream,
            device: self.device.clone(),
            from,
            to,
        })
    }
}

impl State {
    fn wake(&mut self) -> bool {
        if self.delivery != Delivery::Open {
            return false;
        }
        self.again = true;
        !std::mem::replace(&mut self.running, true)
    }
}

fn beyond(seq: Seq, sent: Seq) -> RequestError {
    let detail = format!("{seq}, sent was {sent}");
    RequestError::new(ErrorCode::AckBeyondSent).with_detail(detail)
}

#[cfg(test)]
mod tests;
