//! What observers are told of a session.

use std::sync::Arc;

use partyline_plugin::{
    CloseReason, DeviceKey, DropReason, Event, EventKind, EventKinds, Message, Qos, Reason,
};

use super::state::State;
use super::{Attachment, Publication, Session, Stop};
use crate::plugins::Events;

impl Session {
    /// A connection has it now.
    pub(super) fn tell_opened(&self, attachment: &Attachment, present: bool) {
        let events = &self.space.events;
        if present {
            events.emit(EventKind::SessionResumed, || {
                Event::session_resumed(attachment.info())
            });
        } else {
            events.emit(EventKind::SessionOpened, || {
                Event::session_opened(attachment.info())
            });
        }
    }

    /// A connection has parted from it.
    pub(super) fn tell_closed(&self, attachment: &Attachment, reason: CloseReason, kept: bool) {
        self.space.events.emit(EventKind::SessionClosed, || {
            Event::session_closed(attachment.info(), reason, kept)
        });
    }

    /// It is over, and had no connection.
    pub(super) fn tell_expired(&self) {
        self.space.events.emit(EventKind::SessionExpired, || {
            Event::session_expired(self.key.clone())
        });
    }

    /// Another connection of its device takes it over, or begins anew in its place.
    pub(super) fn tell_taken_over(&self, state: &State, goes_on: bool) {
        match &state.attachment {
            Some(attachment) => {
                let reason = CloseReason::Ended(Reason::SessionTakenOver);
                self.tell_closed(attachment, reason, goes_on);
            }
            None if !goes_on && !state.ended => self.tell_expired(),
            None => {}
        }
    }

    /// It is ended, with its connection if it has one.
    pub(super) fn tell_ended(&self, state: &State, stop: &Stop) {
        match &state.attachment {
            Some(attachment) => {
                self.tell_closed(attachment, CloseReason::Ended(stop.reason), false);
            }
            None if !state.ended => self.tell_expired(),
            None => {}
        }
    }

    /// Whether the deliver filters let a message come to it; observers are told if not. Called under
    /// its lock, with the connection that it has.
    pub(super) fn takes(
        &self,
        connection: Option<&Arc<Attachment>>,
        publication: &Publication,
    ) -> bool {
        let taken = self.may_take(connection, publication);
        if !taken {
            self.tell_filtered(publication);
        }
        taken
    }

    /// The same, told to nobody.
    pub(super) fn may_take(
        &self,
        connection: Option<&Arc<Attachment>>,
        publication: &Publication,
    ) -> bool {
        let info = || connection.map(|connection| connection.info());
        let message = &publication.message;
        self.space.deliver.keep(message, &self.key, info)
    }

    /// A filter has kept a message from it.
    pub(crate) fn tell_filtered(&self, publication: &Publication) {
        self.space.events.emit(EventKind::Dropped, || {
            let message = publication.message.clone();
            Event::dropped(self.key.clone(), message, DropReason::Filtered)
        });
    }
}

/// Tells what becomes of routed messages. Empty, and as small as a pointer, where nobody asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Teller(Option<Arc<Told>>);

#[derive(Debug)]
struct Told {
    events: Arc<Events>,
    device: DeviceKey,
}

impl Teller {
    pub(crate) fn new(events: &Arc<Events>, device: &DeviceKey) -> Self {
        let kinds = [EventKind::Delivered, EventKind::Acked, EventKind::Dropped];
        let wanted = events.wants(EventKinds::from(kinds));
        Self(wanted.then(|| {
            Arc::new(Told {
                events: Arc::clone(events),
                device: device.clone(),
            })
        }))
    }

    /// It was written to the connection for the first time.
    pub(super) fn delivered(&self, publication: &Publication, qos: Qos) {
        if let Some(told) = &self.0 {
            told.events.emit(EventKind::Delivered, || {
                Event::delivered(told.device.clone(), publication.message.clone(), qos)
            });
        }
    }

    /// The client has it, or does not want it.
    pub(super) fn acked(&self, publication: &Publication, reason: Reason) {
        if let Some(told) = &self.0 {
            told.events.emit(EventKind::Acked, || {
                let message: Message = publication.message.clone();
                Event::acked(told.device.clone(), message, reason)
            });
        }
    }

    /// It goes no further.
    pub(super) fn dropped(&self, publication: &Publication, why: DropReason) {
        if let Some(told) = &self.0 {
            told.events.emit(EventKind::Dropped, || {
                Event::dropped(told.device.clone(), publication.message.clone(), why)
            });
        }
    }
}
