//! Sessions: what outlives a connection, and what one connection adds to it.

mod aliases;
mod attachment;
mod commands;
mod in_flight;
mod matched;
mod outbound;
mod owed;
mod publication;
mod received;
mod registry;
mod routed;
mod state;
mod subscriptions;
mod tell;

pub(crate) use aliases::Aliases;
pub(crate) use attachment::{Attachment, Stop};
pub(crate) use commands::{Commands, Pace};
pub(crate) use matched::{Matched, Orphan, SHARE};
pub(crate) use outbound::{Enqueued, Fill, Guarantee, Outbound};
pub(crate) use owed::Owed;
pub(crate) use publication::Publication;
pub(crate) use received::{Arrival, InWork, Slot};
pub(crate) use registry::{Attached, Detach, Registry};
pub(crate) use state::{Offer, Offered, Session, State, WillMessage};
