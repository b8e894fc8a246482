//! The broker under load, and how clients come to it.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;

use crate::packet;
use crate::process::{Cpu, ensure_open_files, resident_bytes};
use crate::sockets::Sockets;

/// Without any packet for so long, a scenario gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The broker's MQTT address.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Its process, for what it costs.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
    /// User names and passwords, `NAME:PASSWORD`, where `{user}` is the user's number, from 0; none
    /// for anonymous clients.
    #[arg(long)]
    pub(crate) login: Option<String>,
    /// Connections of each user.
    #[arg(long, default_value_t = 1)]
    pub(crate) devices: usize,
}

/// A client that is to be opened.
#[derive(Debug, Default)]
pub(crate) struct Opening {
    pub(crate) client_id: String,
    pub(crate) filters: Vec<String>,
    pub(crate) qos: u8,
}

/// What happens to a client while it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Connecting,
    Subscribing,
    Open,
}

impl Target {
    /// Fails early if either end may not open so many sockets.
    pub(crate) fn ensure_room(&self, connections: usize) -> anyhow::Result<()> {
        ensure_open_files("self", connections)?;
        match self.pid {
            Some(pid) => ensure_open_files(&pid.to_string(), connections),
            None => Ok(()),
        }
    }

    pub(crate) fn cpu(&self) -> anyhow::Result<Option<Cpu>> {
        self.pid.map(Cpu::of).transpose()
    }

    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        resident_bytes(self.pid.context("memory needs the broker's --pid")?)
    }

    /// Opens clients, so many at once, each with CONNECT and, if it has filters, SUBSCRIBE.
    pub(crate) fn open(
        &self,
        sockets: &mut Sockets,
        openings: &[Opening],
        at_once: usize,
    ) -> anyhow::Result<Range<usize>> {
        let first = sockets.len();
        let mut stages: Vec<Stage> = Vec::with_capacity(openings.len());
        let (mut waiting, mut open) = (openings.iter(), 0);
        let mut last_progress = Instant::now();
        while open < openings.len() {
            while stages.len() - open < at_once
                && let Some(opening) = waiting.next()
            {
                let login = self.login(stages.len())?;
                let login = login
                    .as_ref()
                    .map(|(name, password)| (&**name, &**password));
                let number = sockets.open()?;
                packet::connect(&opening.client_id, login, sockets.output(number)?);
                stages.push(Stage::Connecting);
            }
            sockets.flush()?;
            let before = open;
            sockets.turn(PATIENCE, |number, frame, output| {
                let at = number
                    .checked_sub(first)
                    .context("a packet of another client")?;
                let opening = openings.get(at).context("a packet of nobody")?;
                let stage = stages.get_mut(at).context("a packet of nobody")?;
                *stage = match (*stage, frame.kind()) {
                    (Stage::Connecting, 2) => {
                        frame.check_connack()?;
                        if opening.filters.is_empty() {
                            open += 1;
                            Stage::Open
                        } else {
                            packet::subscribe(1, &opening.filters, opening.qos, output);
                            Stage::Subscribing
                        }
                    }
                    (Stage::Subscribing, 9) => {
                        frame.check_suback(opening.qos)?;
                        open += 1;
                        Stage::Open
                    }
                    (stage, kind) => bail!("packet type {kind} while {stage:?}"),
                };
                Ok(())
            })?;
            if open > before {
                last_progress = Instant::now();
            }
            ensure!(
                last_progress.elapsed() < PATIENCE,
                "only {open} of {} clients could be opened",
                openings.len()
            );
        }
        Ok(first..sockets.len())
    }

    fn login(&self, number: usize) -> anyhow::Result<Option<(String, String)>> {
        let Some(login) = &self.login else {
            return Ok(None);
        };
        let user = number / self.devices.max(1);
        let login = login.replace("{user}", &user.to_string());
        let (name, password) = login.split_once(':').context("no password in the login")?;
        Ok(Some((name.to_owned(), password.to_owned())))
    }
}
