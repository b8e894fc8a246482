//! The two buffers of a connection, and moving bytes between them and the socket.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::transport::Transport;

/// Bytes read from a socket at once.
const READ_CHUNK: usize = 16 * 1024;

/// Bytes that are read away from a client that goes on sending after our last packet.
const DISCARDED: usize = 1024 * 1024;

/// The bytes that [`Wire::poll`] moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) read: usize,
    pub(super) written: usize,
}

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    /// Written bytes may lie in a buffer of TLS or WebSocket.
    flush_due: bool,
}

impl Wire {
    /// Begins with bytes that were read before.
    pub(super) fn new(input: BytesMut) -> Self {
        Self {
            input,
            output: BytesMut::new(),
            flush_due: false,
        }
    }

    /// An idle connection keeps no buffers.
    pub(super) fn release_empty(&mut self) {
        for buffer in [&mut self.input, &mut self.output] {
            if buffer.is_empty() && buffer.capacity() > 0 {
                *buffer = BytesMut::new();
            }
        }
    }

    /// Writes what the socket takes and, if it may, reads what it has. The end of the stream is an
    /// error.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        transport: &mut Transport,
        may_read: bool,
    ) -> Poll<io::Result<Moved>> {
        let mut socket = Pin::new(transport);
        let mut written = 0;
        while !self.output.is_empty() {
            match socket.as_mut().poll_write(cx, &self.output)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(count) => {
                    self.output.advance(count);
                    (written, self.flush_due) = (written + count, true);
                }
                Poll::Pending => break,
            }
        }
        if self.flush_due && self.output.is_empty() {
            self.flush_due = socket.as_mut().poll_flush(cx)?.is_pending();
        }
        if may_read && let Poll::Ready(count) = poll_read(cx, socket, &mut self.input)? {
            return Poll::Ready(match count {
                0 => Err(io::ErrorKind::UnexpectedEof.into()),
                read => Ok(Moved { read, written }),
            });
        }
        if written > 0 {
            Poll::Ready(Ok(Moved { read: 0, written }))
        } else {
            Poll::Pending
        }
    }
}

/// Writes the last bytes, ends our side and reads until the client ends its own: a socket that is
/// closed over unread bytes is reset, and the client may then never see why it was closed. When
/// the broker stops, only what is already there is read.
pub(super) async fn part(
    transport: &mut Transport,
    output: &mut BytesMut,
    stopping: &CancellationToken,
) {
    if transport.write_all_buf(output).await.is_err() || transport.shutdown().await.is_err() {
        return;
    }
    tokio::select! {
        biased;
        () = discard(transport) => {}
        () = stopping.cancelled() => {}
    }
}

async fn discard(transport: &mut Transport) {
    let (mut input, mut left) = (BytesMut::new(), DISCARDED);
    while left > 0 {
        match poll_fn(|cx| poll_read(cx, Pin::new(&mut *transport), &mut input)).await {
            Ok(0) | Err(_) => return,
            Ok(count) => left = left.saturating_sub(count),
        }
        input.clear();
    }
}

/// Reads what is there. The chunk lives on the stack while polled, so that a connection that waits
/// holds no buffer.
pub(super) fn poll_read(
    cx: &mut Context<'_>,
    socket: Pin<&mut Transport>,
    input: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    let mut chunk = [const { MaybeUninit::<u8>::uninit() }; READ_CHUNK];
    let mut chunk = ReadBuf::uninit(&mut chunk);
    ready!(socket.poll_read(cx, &mut chunk))?;
    input.extend_from_slice(chunk.filled());
    Poll::Ready(Ok(chunk.filled().len()))
}
