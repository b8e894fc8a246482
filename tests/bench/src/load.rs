//! Messages from publishers to receivers, counted and checked.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use hdrhistogram::Histogram;

use crate::packet::{self, Frame, STAMP, Stamp};
use crate::plan::{Flow, Plan, Receiver};
use crate::process::Cpu;
use crate::sockets::Sockets;
use crate::stream::{Came, Faults, Stream};
use crate::target::{Opening, PATIENCE, Target};

/// Clients that are opened side by side.
const AT_ONCE: usize = 64;
/// At a fixed rate a publisher may have so much on the way; packet ids must not run out.
const FALLEN_BEHIND: usize = 50_000;
/// How long the loop sleeps at most while a fixed rate has a message due.
const TICK: Duration = Duration::from_millis(1);

/// How the messages are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// 0 or 1, of publications and subscriptions.
    pub(crate) qos: u8,
    /// Bytes of payload.
    pub(crate) payload: usize,
    /// Messages that each publisher has on the way: sent, and not yet delivered to all receivers or
    /// not yet acknowledged. Saturates the broker, unless there is a rate.
    pub(crate) window: usize,
    /// Messages a second of all publishers together, whether or not the broker keeps up.
    pub(crate) rate: Option<f64>,
    /// Without any packet for so long, what has not come is lost.
    pub(crate) patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            qos: 0,
            payload: 100,
            window: 100,
            rate: None,
            patience: PATIENCE,
        }
    }
}

#[derive(Debug)]
struct Publisher {
    flows: Vec<usize>,
    /// Its next flow.
    turn: usize,
    /// Messages that are to be sent in this pass.
    left: u64,
    /// Deliveries that its messages make, and those that were made.
    expected: u64,
    delivered: u64,
    /// Deliveries of one message, at most.
    fan: u64,
    unacknowledged: VecDeque<u16>,
    last_id: u16,
}

/// Connected clients under a plan.
pub(crate) struct Load {
    sockets: Sockets,
    pace: Pace,
    epoch: Instant,
    pid: Option<u32>,
    /// Sockets before these are receivers', the others publishers'.
    first_publisher: usize,
    parties: Parties,
}

/// All but the sockets.
struct Parties {
    flows: Vec<Flow>,
    /// Messages sent in each flow.
    sent: Vec<u64>,
    receivers: Vec<Receiver>,
    /// Of each receiver, for each of its flows.
    streams: Vec<Vec<Stream>>,
    publishers: Vec<Publisher>,
    faults: Faults,
    pass: Pass,
}

/// What one pass took.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) elapsed: Duration,
    /// The broker's processor time, if its process is known.
    pub(crate) cpu: Option<Duration>,
    /// The generator's.
    pub(crate) own_cpu: Duration,
    /// Nanoseconds from sending to receiving.
    pub(crate) latency: Histogram<u64>,
}

impl Pass {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            messages: 0,
            deliveries: 0,
            elapsed: Duration::ZERO,
            cpu: None,
            own_cpu: Duration::ZERO,
            latency: Histogram::new(3)?,
        })
    }
}

impl Load {
    /// Connects all clients of the plan.
    pub(crate) fn open(target: &Target, plan: Plan, pace: Pace) -> anyhow::Result<Self> {
        ensure!(pace.qos < 2, "only QoS 0 and 1");
        ensure!(pace.window > 0, "a window of 0 lets nothing through");
        target.ensure_room(plan.receivers.len() + plan.publishers)?;
        let mut sockets = Sockets::new(target.address)?;
        let mut openings: Vec<_> = (plan.receivers.iter().enumerate())
            .map(|(n, receiver)| Opening {
                client_id: format!("receiver-{n}"),
                filters: receiver.filters.clone(),
                qos: pace.qos,
            })
            .collect();
        openings.extend((0..plan.publishers).map(|n| Opening {
            client_id: format!("publisher-{n}"),
            ..Opening::default()
        }));
        target.open(&mut sockets, &openings, AT_ONCE)?;
        let publisher = |n| {
            let own = plan.flows.iter().enumerate();
            Publisher {
                flows: own
                    .filter(|(_, flow)| flow.publisher == n)
                    .map(|(at, _)| at)
                    .collect(),
                turn: 0,
                left: 0,
                expected: 0,
                delivered: 0,
                fan: plan
                    .flows
                    .iter()
                    .map(|flow| flow.receivers)
                    .max()
                    .unwrap_or(1),
                unacknowledged: VecDeque::new(),
                last_id: 0,
            }
        };
        let streams =
            |receiver: &Receiver| (0..receiver.flows).map(|_| Stream::default()).collect();
        Ok(Self {
            sockets,
            pace,
            epoch: Instant::now(),
            pid: target.pid,
            first_publisher: plan.receivers.len(),
            parties: Parties {
                publishers: (0..plan.publishers).map(publisher).collect(),
                sent: vec![0; plan.flows.len()],
                streams: plan.receivers.iter().map(streams).collect(),
                flows: plan.flows,
                receivers: plan.receivers,
                faults: Faults::default(),
                pass: Pass::new()?,
            },
        })
    }

    /// Sends so many messages in each flow, and waits until all have come and are acknowledged, or
    /// nothing comes any more.
    pub(crate) fn pass(&mut self, messages_each: u64) -> anyhow::Result<Pass> {
        self.parties.pass = Pass::new()?;
        for publisher in &mut self.parties.publishers {
            publisher.left = messages_each * publisher.flows.len() as u64;
        }
        let cpu = self.pid.map(Cpu::of).transpose()?;
        let own = Cpu::of(std::process::id())?;
        let began = Instant::now();
        let mut last_heard = began;
        loop {
            self.send(began)?;
            self.sockets.flush()?;
            if self.parties.is_done() {
                break;
            }
            let wait = match self.pace.rate {
                Some(_) if self.parties.is_sending() => TICK,
                _ => self.pace.patience,
            };
            let (parties, epoch) = (&mut self.parties, self.epoch);
            let (first_publisher, mut heard) = (self.first_publisher, false);
            self.sockets.turn(wait, |number, frame, output| {
                heard = true;
                match number.checked_sub(first_publisher) {
                    Some(publisher) => parties.on_publisher(publisher, frame),
                    None => parties.on_receiver(number, frame, epoch, output),
                }
            })?;
            if heard {
                last_heard = Instant::now();
            } else if last_heard.elapsed() >= self.pace.patience {
                break;
            }
        }
        let mut pass = std::mem::replace(&mut self.parties.pass, Pass::new()?);
        pass.elapsed = began.elapsed();
        pass.cpu = cpu.map(|cpu| cpu.elapsed()).transpose()?;
        pass.own_cpu = own.elapsed()?;
        Ok(pass)
    }

    /// What went wrong so far, all passes together.
    pub(crate) fn faults(&self) -> Faults {
        self.parties.faults()
    }

    /// Hands the sockets what may be sent now.
    fn send(&mut self, began: Instant) -> anyhow::Result<()> {
        let now = nanos(self.epoch.elapsed());
        if let Some(rate) = self.pace.rate {
            let due = due(rate, began.elapsed());
            let count = self.parties.publishers.len();
            while self.parties.pass.messages < due && self.parties.is_sending() {
                let turn = usize::try_from(self.parties.pass.messages)? % count;
                let publisher = self.parties.next_sender(turn)?;
                self.send_one(publisher, now)?;
            }
            return Ok(());
        }
        for publisher in 0..self.parties.publishers.len() {
            while self.parties.may_send(publisher, self.pace.window) {
                self.send_one(publisher, now)?;
            }
        }
        Ok(())
    }

    fn send_one(&mut self, publisher: usize, now: u64) -> anyhow::Result<()> {
        let output = self.sockets.output(self.first_publisher + publisher)?;
        self.parties.publish(publisher, self.pace, now, output)
    }
}

impl Parties {
    fn is_sending(&self) -> bool {
        self.publishers.iter().any(|publisher| publisher.left > 0)
    }

    fn is_done(&self) -> bool {
        self.publishers.iter().all(|publisher| {
            publisher.left == 0
                && publisher.unacknowledged.is_empty()
                && publisher.delivered >= publisher.expected
        })
    }

    fn may_send(&self, publisher: usize, window: usize) -> bool {
        self.publishers.get(publisher).is_some_and(|one| {
            one.left > 0
                && one.unacknowledged.len() < window
                && one.expected.saturating_sub(one.delivered) < window as u64 * one.fan
        })
    }

    /// The publisher whose turn it is, or the next that still has something to send.
    fn next_sender(&self, turn: usize) -> anyhow::Result<usize> {
        let count = self.publishers.len();
        let one = (turn..turn + count)
            .map(|n| n % count)
            .find(|n| self.publishers.get(*n).is_some_and(|one| one.left > 0))
            .context("nobody has anything to send")?;
        let behind = self
            .publishers
            .get(one)
            .is_some_and(|one| one.unacknowledged.len() > FALLEN_BEHIND);
        ensure!(!behind, "the broker does not keep up with this rate");
        Ok(one)
    }

    fn publish(
        &mut self,
        publisher: usize,
        pace: Pace,
        now: u64,
        output: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        let publisher = self.publishers.get_mut(publisher).context("no publisher")?;
        let flow = *publisher.flows.get(publisher.turn).context("no flow")?;
        publisher.turn = (publisher.turn + 1) % publisher.flows.len();
        let Flow {
            topic, receivers, ..
        } = self.flows.get(flow).context("no flow")?;
        let sent = self.sent.get_mut(flow).context("no flow")?;
        let id = (pace.qos > 0).then(|| {
            publisher.last_id = publisher.last_id.checked_add(1).unwrap_or(1);
            publisher.unacknowledged.push_back(publisher.last_id);
            publisher.last_id
        });
        let stamp = Stamp {
            flow: u32::try_from(flow)?,
            number: *sent,
            sent: now,
        };
        packet::publish(topic, id, stamp, pace.payload.max(STAMP), output);
        *sent += 1;
        publisher.left -= 1;
        publisher.expected += receivers;
        self.pass.messages += 1;
        Ok(())
    }

    fn on_publisher(&mut self, publisher: usize, frame: Frame<'_>) -> anyhow::Result<()> {
        ensure!(
            frame.kind() == 4,
            "packet type {} to a publisher",
            frame.kind()
        );
        let publisher = self.publishers.get_mut(publisher).context("no publisher")?;
        let (id, waiting) = (frame.id()?, &mut publisher.unacknowledged);
        // Acknowledgements come in order [MQTT-4.6.0-2]; where they do not, that is no loss.
        match waiting.iter().position(|one| *one == id) {
            Some(0) => drop(waiting.pop_front()),
            Some(at) => drop(waiting.remove(at)),
            None => self.faults.strays += 1,
        }
        Ok(())
    }

    fn on_receiver(
        &mut self,
        receiver: usize,
        frame: Frame<'_>,
        epoch: Instant,
        output: &mut Vec<u8>,
    ) -> anyhow::Result<()> {
        if frame.kind() != 3 {
            bail!("packet type {} to a receiver", frame.kind());
        }
        let publish = frame.publish()?;
        if frame.qos() > 0 {
            packet::puback(publish.id, output);
        }
        let stamp = Stamp::of(publish.payload)?;
        let place = self
            .receivers
            .get(receiver)
            .and_then(|one| one.place(stamp.flow));
        let streams = self.streams.get_mut(receiver);
        let stream = streams.and_then(|streams| streams.get_mut(place?));
        let of = self.flows.get(stamp.flow as usize);
        let (Some(stream), Some(flow)) =
            (stream, of.filter(|of| of.topic.as_bytes() == publish.topic))
        else {
            self.faults.strays += 1;
            return Ok(());
        };
        match stream.take(stamp.number) {
            Came::InOrder | Came::Early => {}
            Came::Late => self.faults.disordered += 1,
            Came::Again => {
                self.faults.duplicates += 1;
                return Ok(());
            }
        }
        if let Some(publisher) = self.publishers.get_mut(flow.publisher) {
            publisher.delivered += 1;
        }
        self.pass.deliveries += 1;
        let latency = nanos(epoch.elapsed()).saturating_sub(stamp.sent);
        self.pass.latency.record(latency)?;
        Ok(())
    }

    fn faults(&self) -> Faults {
        let mut faults = self.faults;
        let waiting = self
            .publishers
            .iter()
            .map(|one| one.unacknowledged.len() as u64);
        faults.unacknowledged = waiting.sum();
        for (receiver, streams) in self.receivers.iter().zip(&self.streams) {
            let sent = self.sent.iter().skip(receiver.first_flow as usize);
            let sent = sent.step_by(receiver.step as usize);
            faults.lost += streams
                .iter()
                .zip(sent)
                .map(|(one, sent)| one.lost(*sent))
                .sum::<u64>();
        }
        faults
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// How many messages are due after so long.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is positive, and what is due is small"
)]
fn due(rate: f64, after: Duration) -> u64 {
    (rate * after.as_secs_f64()) as u64 + 1
}
