//! What waits to be sent to a session.
//!
//! Two lanes: plugins' deliveries go before routed messages, so that a flood of plain messages
//! cannot hold up a reply or the inbox. Each lane is bounded by count and bytes. When the first is
//! full, its newest message is dropped; what the second does stands at [`super::routed`]. What is
//! dropped is counted, and nobody else waits for it.
//!
//! In a session that is stored, messages above QoS 0 have a row each. At QoS 1 nothing waits for the
//! disk here: a crash can only repeat a message. At QoS 2 what the client is told next is on disk
//! first.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::BytesMut;
use partyline_plugin::{DropReason, ProtocolVersion, Qos, Reason, TrackedOutcome};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::in_flight::{Awaits, InFlight, Release, Sent};
use super::routed::{Routed, RoutedLane};
use super::tell::Teller;
use super::{Aliases, Matched, Orphan, Publication};
use crate::codec::{ALIAS_BYTES, Extra, Frame, LONGEST_PACKET, write_pubrel};
use crate::config::LimitsConfig;
use crate::metrics::{Drops, Sent as Counted};
use crate::store::{LoadedMessage, SessionRows, Stage, Ticket};

/// What became of a message that was to wait.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enqueued {
    Waiting,
    Full,
}

/// How a plugin's delivery is sent.
#[derive(Debug)]
pub(crate) enum Guarantee {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1; nobody asks how it ends.
    AtLeastOnce,
    /// QoS 1; somebody does.
    Tracked(oneshot::Sender<TrackedOutcome>),
}

impl Guarantee {
    pub(crate) fn has_id(&self) -> bool {
        !matches!(self, Self::AtMostOnce)
    }

    fn sender(self) -> Option<oneshot::Sender<TrackedOutcome>> {
        match self {
            Self::Tracked(sender) => Some(sender),
            Self::AtMostOnce | Self::AtLeastOnce => None,
        }
    }

    /// It was not sent.
    pub(crate) fn end(self, outcome: TrackedOutcome) {
        end(self.sender(), outcome);
    }
}

#[derive(Debug)]
struct Direct {
    frame: Frame,
    matched: Option<Arc<Matched>>,
    guarantee: Guarantee,
}

/// How one connection takes messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fill {
    pub(crate) version: ProtocolVersion,
    /// Unacknowledged messages that may be outstanding.
    pub(crate) window: u16,
    /// Bytes of them above which no further one is sent.
    pub(crate) window_bytes: usize,
    /// The client's Maximum Packet Size.
    pub(crate) max_packet: Option<u32>,
    /// Bytes of output after which filling pauses.
    pub(crate) high_water: usize,
}

impl Fill {
    fn fits(&self, length: usize) -> bool {
        length <= self.max_packet.map_or(LONGEST_PACKET, |max| max as usize)
    }
}

#[derive(Debug)]
pub(crate) struct Outbound {
    direct: VecDeque<Direct>,
    direct_bytes: usize,
    routed: RoutedLane,
    in_flight: InFlight,
    drops: Drops,
    /// Its place in the store, if it is to outlive the process.
    rows: Option<SessionRows>,
    /// PUBRELs that wait for the disk, in the order of their PUBRECs.
    releases: VecDeque<(Ticket, u16)>,
}

/// What a PUBREC is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rel {
    Now,
    /// By the queue, when it may.
    Later,
    /// The id is not outstanding.
    Unknown,
}

/// What is still to be sent of what was sent before or is in flight already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Nothing,
    /// Until this is on disk nothing may overtake it.
    Waits(Ticket),
    /// The client or the output takes no more.
    NoRoom,
}

impl Outbound {
    /// Empty; packet ids begin after `last_id`, which a fresh session picks at random.
    pub(crate) fn new(last_id: u16) -> Self {
        Self {
            direct: VecDeque::new(),
            direct_bytes: 0,
            routed: RoutedLane::default(),
            in_flight: InFlight::new(last_id),
            drops: Drops::default(),
            rows: None,
            releases: VecDeque::new(),
        }
    }

    /// Tells what becomes of its routed messages.
    pub(super) fn telling(mut self, teller: Teller) -> Self {
        self.routed.teller = teller;
        self
    }

    /// From now on it is stored.
    pub(super) fn keep_in(&mut self, rows: SessionRows) {
        self.rows = Some(rows);
    }

    /// It is not stored any more. The ticket is of that.
    pub(super) fn forget_rows(&mut self) -> Option<Ticket> {
        let ticket = self.rows.take()?.end();
        self.routed.forget_rows();
        self.in_flight.forget_rows();
        Some(ticket)
    }

    pub(crate) fn rows(&self) -> Option<&SessionRows> {
        self.rows.as_ref()
    }

    /// Takes up what was there when the process ended, in the order of sending.
    pub(super) fn restore(&mut self, rows: SessionRows, queue: Vec<LoadedMessage>) {
        self.rows = Some(rows);
        for LoadedMessage {
            publication,
            record,
            row,
        } in queue
        {
            let (retain, matched) = (record.retain, record.matched);
            let awaits = match record.stage {
                Stage::Waits => None,
                Stage::Ack => Some(Awaits::Ack),
                Stage::Rec => Some(Awaits::Rec),
                Stage::Comp => Some(Awaits::Comp),
            };
            match (awaits, record.packet_id, publication) {
                (Some(awaits), Some(id), publication) => {
                    let plain = |publication| Sent::Plain {
                        publication,
                        retain,
                        matched,
                    };
                    let sent = publication.map_or(Sent::Void, plain);
                    self.in_flight.restore(id, awaits, sent, row);
                }
                (None, None, Some(publication)) => self.routed.put(Routed {
                    publication,
                    qos: record.qos,
                    retain,
                    matched,
                    owed: false,
                    row: Some(row),
                }),
                // The store reads no such row.
                _ => {}
            }
        }
    }

    /// Queues a routed message. The ticket is of its row, if it has one.
    pub(crate) fn route(
        &mut self,
        limits: &LimitsConfig,
        publication: &Arc<Publication>,
        qos: Qos,
        retain: bool,
        matched: Option<Arc<Matched>>,
    ) -> (Enqueued, Option<Ticket>) {
        let routed = Routed {
            publication: Arc::clone(publication),
            qos,
            retain,
            matched,
            owed: false,
            row: None,
        };
        match self.routed.push(limits, routed) {
            Enqueued::Waiting => (Enqueued::Waiting, self.store_newest()),
            Enqueued::Full => (Enqueued::Full, None),
        }
    }

    /// Whether a routed message can wait without another being dropped for it, or with `displacing`
    /// none above QoS 0. What has expired is dropped.
    pub(super) fn has_room(
        &mut self,
        limits: &LimitsConfig,
        publication: &Publication,
        matched: Option<&Arc<Matched>>,
        displacing: bool,
    ) -> bool {
        let weight = publication.weight() + Matched::weight(matched);
        self.routed.has_room(limits, weight, displacing)
    }

    /// Queues a retained message for a new subscription. The caller bounds how many wait.
    pub(super) fn route_owed(
        &mut self,
        publication: Arc<Publication>,
        qos: Qos,
        matched: Option<Arc<Matched>>,
    ) {
        self.routed.put(Routed {
            publication,
            qos,
            retain: true,
            matched,
            owed: true,
            row: None,
        });
        // Nobody was promised it yet; but its packet id must not be forgotten later.
        let _ = self.store_newest();
    }

    /// Gives the newest message its row.
    fn store_newest(&mut self) -> Option<Ticket> {
        let (rows, routed) = (self.rows.as_mut()?, self.routed.back_mut()?);
        if routed.qos == Qos::AtMostOnce {
            return None;
        }
        let (row, ticket) = rows.queue(
            &routed.publication,
            routed.qos,
            routed.retain,
            routed.matched.clone(),
        )?;
        routed.row = Some(row);
        Some(ticket)
    }

    /// Retained messages for new subscriptions that wait here.
    pub(super) fn owed(&self) -> usize {
        self.routed.owed()
    }

    /// Messages that were dropped because they would not go through.
    pub(crate) fn dropped(&self) -> u32 {
        let drops = self.drops();
        drops.full.wrapping_add(drops.too_large)
    }

    /// The same, by cause, with those that had expired.
    pub(crate) fn drops(&self) -> Drops {
        let mut drops = self.drops;
        drops += self.routed.drops;
        drops
    }

    /// Queues a plugin's delivery.
    pub(crate) fn deliver(
        &mut self,
        limits: &LimitsConfig,
        frame: Frame,
        matched: Option<Arc<Matched>>,
        guarantee: Guarantee,
    ) -> Enqueued {
        let has_room = self.direct.len() < limits.queued_messages
            && self.direct_bytes + frame.len() <= limits.queued_bytes;
        if !(has_room || self.direct.is_empty()) {
            self.drops.full = self.drops.full.wrapping_add(1);
            guarantee.end(TrackedOutcome::Full);
            return Enqueued::Full;
        }
        self.direct_bytes += frame.len();
        self.direct.push_back(Direct {
            frame,
            matched,
            guarantee,
        });
        Enqueued::Waiting
    }

    /// Writes what may be sent now, and counts it. There is more to send when the ticket's changes are
    /// on disk.
    pub(crate) fn fill(
        &mut self,
        fill: Fill,
        aliases: &mut Aliases,
        output: &mut BytesMut,
        counted: &mut Counted,
    ) -> Option<Ticket> {
        let release = self.send_releases(output);
        loop {
            if self.send_again(fill, aliases, output, counted) == Again::NoRoom {
                return release;
            }
            while output.len() < fill.high_water && self.fill_direct(fill, output, counted) {}
            if !self.routed.is_empty() {
                let now = Instant::now();
                while output.len() < fill.high_water
                    && self.fill_routed(fill, now, aliases, output, counted)
                {}
            }
            if self.in_flight.first_again().is_none() {
                return release;
            }
            // Some began to wait for the disk.
            match self.send_again(fill, aliases, output, counted) {
                Again::Waits(ticket) => {
                    return Some(release.map_or(ticket, |release| release.min(ticket)));
                }
                Again::NoRoom => return release,
                // Not any more, and others may have waited for them.
                Again::Nothing => {}
            }
        }
    }

    /// Writes the PUBRELs that may go out now; returns what the next one waits for.
    fn send_releases(&mut self, output: &mut BytesMut) -> Option<Ticket> {
        while let Some((ticket, id)) = self.releases.front() {
            let rows = self.rows.as_ref();
            if rows.is_some_and(|rows| !rows.is_committed(*ticket)) {
                return Some(*ticket);
            }
            write_pubrel(*id, output);
            self.releases.pop_front();
        }
        None
    }

    fn has_credit(&self, fill: Fill) -> bool {
        self.in_flight.outstanding() < usize::from(fill.window)
    }

    fn fill_direct(&mut self, fill: Fill, output: &mut BytesMut, counted: &mut Counted) -> bool {
        let Some(next) = self.direct.front() else {
            return false;
        };
        if next.guarantee.has_id() && !self.has_credit(fill) {
            return false;
        }
        let Some(Direct {
            frame,
            matched,
            guarantee,
        }) = self.direct.pop_front()
        else {
            return false;
        };
        self.direct_bytes -= frame.len();
        if !fill.fits(frame.len()) {
            self.drops.too_large = self.drops.too_large.wrapping_add(1);
            guarantee.end(TrackedOutcome::TooLarge);
            return true;
        }
        let mut extra = extra(matched.as_ref());
        if !fill.fits(frame.len_with(extra)) {
            // Plugins fit their packets to the client's limit and know of no identifiers.
            extra = Extra::default();
        }
        if guarantee.has_id() {
            let id = self.in_flight.next_id();
            let sent = Sent::Tracked(guarantee.sender());
            self.in_flight.push(id, Awaits::Ack, sent, None);
            frame.write_with(extra, Qos::AtLeastOnce, id, false, false, output);
            counted.message(Qos::AtLeastOnce);
        } else {
            frame.write_with(extra, Qos::AtMostOnce, 0, false, false, output);
            counted.message(Qos::AtMostOnce);
        }
        true
    }

    fn fill_routed(
        &mut self,
        fill: Fill,
        now: Instant,
        aliases: &mut Aliases,
        output: &mut BytesMut,
        counted: &mut Counted,
    ) -> bool {
        let Some(next) = self.routed.front() else {
            return false;
        };
        // Some may wait for the disk. They have their turn first, but others may begin to wait.
        let waiting = self.in_flight.first_again().is_some();
        if waiting && !(next.qos == Qos::ExactlyOnce && next.row.is_some()) {
            return false;
        }
        let has_credit = || {
            self.in_flight.len() < usize::from(fill.window)
                && self.in_flight.has_room(fill.window_bytes)
        };
        if next.qos != Qos::AtMostOnce && !has_credit() {
            return false;
        }
        let Some(Routed {
            publication,
            qos,
            retain,
            matched,
            row,
            ..
        }) = self.routed.pop()
        else {
            return false;
        };
        if publication.expired(now) {
            self.drops.expired = self.drops.expired.wrapping_add(1);
            self.routed
                .teller
                .dropped(&publication, DropReason::Expired);
            return true;
        }
        let frame = publication.frame(fill.version == ProtocolVersion::V5, qos, now);
        // MQTT 5 §3.1.2.11.4: what is too large for the client is dropped as if it were sent.
        let mut extra = extra(matched.as_ref());
        let Some(frame) = frame.filter(|frame| fill.fits(frame.len_with(extra))) else {
            self.drops.too_large = self.drops.too_large.wrapping_add(1);
            self.routed
                .teller
                .dropped(&publication, DropReason::TooLarge);
            return true;
        };
        let awaits = match qos {
            Qos::AtMostOnce => {
                if aliases.are_used() && fill.fits(frame.len_with(extra) + ALIAS_BYTES) {
                    extra.alias = aliases.name(&publication.message.topic);
                }
                counted.message(qos);
                self.routed.teller.delivered(&publication, qos);
                frame.write_with(extra, qos, 0, retain, false, output);
                return true;
            }
            Qos::AtLeastOnce => Awaits::Ack,
            Qos::ExactlyOnce => Awaits::Rec,
        };
        let id = self.in_flight.next_id();
        // It is sent when its packet id is on disk.
        let waits = awaits == Awaits::Rec && row.is_some();
        if !waits {
            if aliases.are_used() && fill.fits(frame.len_with(extra) + ALIAS_BYTES) {
                extra.alias = aliases.name(&publication.message.topic);
            }
            counted.message(qos);
            self.routed.teller.delivered(&publication, qos);
            frame.write_with(extra, qos, id, retain, false, output);
        }
        let sent = Sent::Plain {
            publication,
            retain,
            matched,
        };
        self.in_flight.push(id, awaits, sent, row);
        true
    }

    /// Writes again what the last connection left unacknowledged, in the order in which it was
    /// first sent ([MQTT-4.4.0-1], [MQTT-4.6.0-1]), and what has waited for the disk.
    fn send_again(
        &mut self,
        fill: Fill,
        aliases: &mut Aliases,
        output: &mut BytesMut,
        counted: &mut Counted,
    ) -> Again {
        while let Some(entry) = self.in_flight.first_again() {
            if output.len() >= fill.high_water {
                return Again::NoRoom;
            }
            if let Some(ticket) = entry.ticket.filter(|_| !entry.is_ready()) {
                return Again::Waits(ticket);
            }
            let (id, dup) = (entry.id, entry.dup);
            let qos = match entry.awaits {
                Awaits::Comp => {
                    write_pubrel(id, output);
                    counted.releases += 1;
                    self.in_flight.sent_again(id);
                    continue;
                }
                Awaits::Ack => Qos::AtLeastOnce,
                Awaits::Rec => Qos::ExactlyOnce,
            };
            if !self.has_credit(fill) {
                return Again::NoRoom;
            }
            let frame = match &entry.sent {
                Sent::Plain {
                    publication,
                    retain,
                    matched,
                } => {
                    let mut extra = extra(matched.as_ref());
                    let frame = publication
                        .frame(fill.version == ProtocolVersion::V5, qos, Instant::now())
                        .filter(|frame| fill.fits(frame.len_with(extra)));
                    frame.map(|frame| {
                        let with_alias = frame.len_with(extra) + ALIAS_BYTES;
                        if !dup && aliases.are_used() && fill.fits(with_alias) {
                            extra.alias = aliases.name(&publication.message.topic);
                        }
                        (frame, *retain, extra)
                    })
                }
                Sent::Tracked(_) | Sent::Void => None,
            };
            if let Some((frame, retain, extra)) = frame {
                frame.write_with(extra, qos, id, retain, dup, output);
                counted.message(qos);
                if !dup && let Sent::Plain { publication, .. } = &entry.sent {
                    self.routed.teller.delivered(publication, qos);
                }
                self.in_flight.sent_again(id);
            } else {
                self.in_flight.forget(id);
            }
        }
        Again::Nothing
    }

    /// PUBACK. An id that is not outstanding is ignored: it is a late one.
    pub(crate) fn on_puback(&mut self, id: u16, reason: Reason) {
        let entry = self.in_flight.finish(id, Awaits::Ack);
        match entry.map(|entry| entry.sent) {
            Some(Sent::Tracked(sender)) => end(sender, outcome(reason)),
            Some(Sent::Plain { publication, .. }) => self.routed.teller.acked(&publication, reason),
            Some(Sent::Void) | None => {}
        }
    }

    /// PUBREC. `None` if no PUBREL is to follow.
    pub(crate) fn on_pubrec(&mut self, id: u16, reason: Reason) -> Option<Rel> {
        if let Some(publication) = self.in_flight.awaiting_rec(id) {
            self.routed.teller.acked(publication, reason);
        }
        if reason.is_error() {
            self.in_flight.finish(id, Awaits::Rec);
            return None;
        }
        Some(match self.in_flight.received(id) {
            Release::Now if self.releases.is_empty() => Rel::Now,
            Release::Unknown => Rel::Unknown,
            later => {
                let ticket = match later {
                    Release::At(ticket) => ticket,
                    // It keeps its place behind those that wait.
                    _ => self
                        .releases
                        .back()
                        .map_or(Ticket::NOW, |(ticket, _)| *ticket),
                };
                if !self.releases.iter().any(|(_, one)| *one == id) {
                    self.releases.push_back((ticket, id));
                }
                Rel::Later
            }
        })
    }

    /// PUBCOMP.
    pub(crate) fn on_pubcomp(&mut self, id: u16) {
        self.in_flight.finish(id, Awaits::Comp);
    }

    /// The connection ended: plugins' deliveries and QoS 0 go, the rest waits for the next one.
    pub(crate) fn detach(&mut self) {
        self.drop_direct();
        // The next connection sends them again.
        self.releases.clear();
        self.in_flight.detach();
        self.routed.keep(|routed| routed.qos != Qos::AtMostOnce);
    }

    /// The user changed: plugins' deliveries go. What is in flight keeps its packet id until the
    /// client acknowledges it.
    pub(crate) fn drop_deliveries(&mut self) {
        self.drop_direct();
        self.in_flight.drop_sent(|_, _, sent| {
            if let Sent::Tracked(sender) = sent {
                end(sender.take(), TrackedOutcome::Gone);
            }
            matches!(sent, Sent::Tracked(_))
        });
    }

    /// Takes out the messages of shared subscriptions that another of their group may get, in the
    /// order in which they were queued: all but those of QoS 2 that were sent ([MQTT-4.8.2-5]).
    pub(super) fn take_shared(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<Orphan> {
        let mut orphans = Vec::new();
        let mut take = |publication: &Arc<Publication>, retain, matched: Option<&Arc<Matched>>| {
            let share = Matched::share(matched);
            let share = share.filter(|_| wanted(publication.message.topic.as_str()));
            orphans.extend(share.map(|share| Orphan {
                publication: Arc::clone(publication),
                retain,
                share: share.clone(),
            }));
            share.is_some()
        };
        // What waits for the disk has a packet id and was not sent yet.
        self.in_flight
            .drop_sent(|awaits, sent_before, sent| match sent {
                Sent::Plain {
                    publication,
                    retain,
                    matched,
                } if awaits == Awaits::Ack || (awaits == Awaits::Rec && !sent_before) => {
                    take(publication, *retain, matched.as_ref())
                }
                _ => false,
            });
        self.routed
            .keep(|routed| !take(&routed.publication, routed.retain, routed.matched.as_ref()));
        orphans
    }

    /// Routed messages whose topic is no longer granted go, in flight as above.
    pub(crate) fn keep_granted(&mut self, granted: impl Fn(&str) -> bool) {
        let topic = |publication: &Publication| granted(publication.message.topic.as_str());
        let teller = self.routed.teller.clone();
        let keep = |publication: &Publication| {
            let kept = topic(publication);
            if !kept {
                teller.dropped(publication, DropReason::NotAllowed);
            }
            kept
        };
        self.in_flight.drop_sent(|_, _, sent| match sent {
            Sent::Plain { publication, .. } => !keep(publication),
            Sent::Tracked(_) | Sent::Void => false,
        });
        self.routed.keep(|routed| keep(&routed.publication));
    }

    /// Senders that are dropped read as gone.
    fn drop_direct(&mut self) {
        self.direct.clear();
        self.direct_bytes = 0;
    }

    /// Takes what the router queued: QoS, identifiers and share; for tests.
    #[cfg(test)]
    pub(crate) fn take_routed(&mut self) -> Vec<(Qos, Vec<u32>, Option<String>)> {
        let mut taken = Vec::new();
        while let Some(routed) = self.routed.pop() {
            let matched = routed.matched.as_ref();
            let ids = Matched::ids(matched).iter().map(|id| id.get()).collect();
            let share = Matched::share(matched).map(ToString::to_string);
            taken.push((routed.qos, ids, share));
        }
        taken
    }

    /// Unacknowledged messages; for tests.
    #[cfg(test)]
    pub(crate) fn outstanding(&self) -> Vec<u16> {
        self.in_flight.iter().map(|entry| entry.id).collect()
    }
}

fn extra(matched: Option<&Arc<Matched>>) -> Extra<'_> {
    Extra {
        ids: Matched::ids(matched),
        alias: None,
    }
}

fn end(sender: Option<oneshot::Sender<TrackedOutcome>>, outcome: TrackedOutcome) {
    if let Some(sender) = sender {
        // The plugin may have stopped waiting.
        let _ = sender.send(outcome);
    }
}

fn outcome(reason: Reason) -> TrackedOutcome {
    if reason.is_error() {
        TrackedOutcome::Refused(reason)
    } else {
        TrackedOutcome::Acked
    }
}

#[cfg(test)]
mod tests;
