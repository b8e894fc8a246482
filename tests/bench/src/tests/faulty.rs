//! A broker for one publisher and one receiver that does one thing wrong.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::packet::{self, Frame};

/// What it does wrong, to the message with this number.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    None,
    Lose(u64),
    Duplicate(u64),
    /// Sends it after the next one.
    Swap(u64),
    Misdirect(u64),
    /// Delivers it, but does not acknowledge it.
    Ignore(u64),
}

pub(super) struct Faulty {
    address: SocketAddr,
}

/// What has come so far.
#[derive(Default)]
struct Delivery {
    receiver: Option<TcpStream>,
    count: u64,
    held: Option<Vec<u8>>,
}

impl Faulty {
    pub(super) fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let delivery = Arc::new(Mutex::new(Delivery::default()));
            for socket in listener.incoming() {
                let (socket, delivery) = (socket.unwrap(), Arc::clone(&delivery));
                // It ends with its client.
                std::thread::spawn(move || serve(socket, fault, &delivery));
            }
        });
        Self { address }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn serve(mut socket: TcpStream, fault: Fault, delivery: &Mutex<Delivery>) {
    let (mut input, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(count) = socket.read(&mut chunk)
        && count > 0
    {
        input.extend_from_slice(&chunk[..count]);
        let mut taken = 0;
        while let Some((frame, length)) = Frame::first(&input[taken..]).unwrap() {
            let whole = &input[taken..taken + length];
            let answer = match frame.kind() {
                1 => vec![0x20, 2, 0, 0],
                8 => {
                    delivery.lock().receiver = Some(socket.try_clone().unwrap());
                    let qos = *frame.body.last().unwrap();
                    vec![0x90, 3, frame.body[0], frame.body[1], qos]
                }
                3 => delivery.lock().publish(whole, frame, fault),
                _ => Vec::new(),
            };
            if socket.write_all(&answer).is_err() {
                return;
            }
            taken += length;
        }
        input.drain(..taken);
    }
}

impl Delivery {
    /// Delivers a message, and returns what its publisher gets.
    fn publish(&mut self, whole: &[u8], frame: Frame<'_>, fault: Fault) -> Vec<u8> {
        let number = self.count;
        self.count += 1;
        let mut out = whole.to_vec();
        match fault {
            Fault::Lose(at) if at == number => out.clear(),
            Fault::Duplicate(at) if at == number => out.extend_from_slice(whole),
            Fault::Swap(at) if at == number => self.held = Some(std::mem::take(&mut out)),
            Fault::Misdirect(at) if at == number => out[4] = b'?',
            _ => {}
        }
        if !out.is_empty()
            && let Some(held) = self.held.take()
        {
            out.extend_from_slice(&held);
        }
        let receiver = self.receiver.as_mut().unwrap();
        // A generator that has seen enough may be gone.
        let _ = receiver.write_all(&out);
        let mut answer = Vec::new();
        let ignored = matches!(fault, Fault::Ignore(at) if at == number);
        if frame.qos() > 0 && !ignored {
            packet::puback(frame.publish().unwrap().id, &mut answer);
        }
        answer
    }
}
