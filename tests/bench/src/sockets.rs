//! Many client sockets on one thread: reads and writes in batches, so that the load is cheaper than
//! any broker under it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::packet::Frame;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// Addresses of our own, `127.0.0.1` and the next ones. Each has some 28,000 ports, and a port that
/// was used is not free again for a minute.
const OWN_ADDRESSES: usize = 250;

#[derive(Debug)]
struct Client {
    socket: TcpStream,
    /// The beginning of a packet whose end has not come.
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of the output is written.
    written: usize,
    is_dirty: bool,
}

/// Sockets by number, in the order in which they were opened.
pub(crate) struct Sockets {
    address: SocketAddr,
    poll: Poll,
    events: Events,
    chunk: Box<[u8]>,
    clients: Vec<Option<Client>>,
    /// Have output that was not tried to be written yet.
    dirty: Vec<usize>,
    opened: usize,
}

impl Sockets {
    pub(crate) fn new(address: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self {
            address,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            chunk: vec![0; CHUNK].into(),
            clients: Vec::new(),
            dirty: Vec::new(),
            opened: 0,
        })
    }

    /// Begins to connect, and returns the socket's number.
    pub(crate) fn open(&mut self) -> anyhow::Result<usize> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let IpAddr::V4(to) = self.address.ip()
            && to.is_loopback()
        {
            let own = u8::try_from(1 + self.opened % OWN_ADDRESSES)?;
            let own = SocketAddr::from((Ipv4Addr::new(127, 0, 0, own), 0));
            socket.bind(&own.into()).context("no port is free")?;
        }
        self.opened += 1;
        match socket.connect(&self.address.into()) {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(IN_PROGRESS) => {}
            Err(error) => return Err(error).context("cannot connect"),
        }
        let mut socket = TcpStream::from_std(socket.into());
        let number = self.clients.len();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry.register(&mut socket, Token(number), both)?;
        self.clients.push(Some(Client {
            socket,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            is_dirty: false,
        }));
        Ok(number)
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Closes all of them at once, without a word.
    pub(crate) fn close_all(&mut self) {
        self.clients.clear();
        self.dirty.clear();
    }

    /// Where to write what the socket is to send at the next [`Self::flush`].
    pub(crate) fn output(&mut self, number: usize) -> anyhow::Result<&mut Vec<u8>> {
        let client = self.clients.get_mut(number).and_then(Option::as_mut);
        let client = client.context("the socket is closed")?;
        if !client.is_dirty {
            client.is_dirty = true;
            self.dirty.push(number);
        }
        Ok(&mut client.output)
    }

    /// Writes all output, as far as the sockets take it.
    pub(crate) fn flush(&mut self) -> anyhow::Result<()> {
        for number in self.dirty.drain(..) {
            if let Some(Some(client)) = self.clients.get_mut(number) {
                client.is_dirty = false;
                client.write()?;
            }
        }
        Ok(())
    }

    /// Waits until some sockets can be read or written, and shows every packet that came to `on`,
    /// with the socket's number and its output.
    pub(crate) fn turn(
        &mut self,
        wait: Duration,
        mut on: impl FnMut(usize, Frame<'_>, &mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self.poll.poll(&mut self.events, Some(wait)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        for event in &self.events {
            let Token(number) = event.token();
            let Some(Some(client)) = self.clients.get_mut(number) else {
                continue;
            };
            if event.is_readable() {
                client
                    .read(&mut self.chunk, &mut |frame, output| {
                        on(number, frame, output)
                    })
                    .with_context(|| format!("connection {number}"))?;
            }
            client.write()?;
        }
        Ok(())
    }
}

/// `EINPROGRESS` of Linux.
const IN_PROGRESS: i32 = 115;

impl Client {
    fn write(&mut self) -> anyhow::Result<()> {
        while let Some(rest) = self.output.get(self.written..)
            && !rest.is_empty()
        {
            match self.socket.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(error).context("the broker took no more"),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }

    fn read(
        &mut self,
        chunk: &mut [u8],
        on: &mut impl FnMut(Frame<'_>, &mut Vec<u8>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        loop {
            let count = match self.socket.read(chunk) {
                Ok(0) => bail!("the broker closed it"),
                Ok(count) => count,
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(error) => return Err(error).context("the broker cut it"),
            };
            let came = chunk.get(..count).unwrap_or_default();
            if self.input.is_empty() {
                let taken = take_frames(came, &mut self.output, on)?;
                self.input
                    .extend_from_slice(came.get(taken..).unwrap_or_default());
            } else {
                self.input.extend_from_slice(came);
                let taken = take_frames(&self.input, &mut self.output, on)?;
                self.input.drain(..taken);
            }
            // The socket had no more than that: the next bytes are a new event.
            if count < chunk.len() {
                return Ok(());
            }
        }
    }
}

fn take_frames(
    bytes: &[u8],
    output: &mut Vec<u8>,
    on: &mut impl FnMut(Frame<'_>, &mut Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<usize> {
    let mut taken = 0;
    while let Some((frame, length)) = Frame::first(bytes.get(taken..).unwrap_or_default())? {
        on(frame, output)?;
        taken += length;
    }
    Ok(taken)
}

/// Not connected yet, or nothing there.
fn is_not_yet(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::NotConnected
    )
}
