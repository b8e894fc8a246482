//! What the bytes of a script mean.

use std::time::Duration;

use bytes::Bytes;
use partyline_plugin::host::Broker;
use partyline_plugin::protocol::{AppKey, Class, TopicLimits, TopicName, Username};
use partyline_plugin::{Kick, Outgoing, Payload, Qos, Reason, UserLogin};
use tokio::time::sleep;

use super::door::{COMMAND, OUTLET};
use super::encode::{Hello, Version, packet, text};
use super::peer::Peer;
use super::{APPS, Heard, Sandbox};

const CLIENT_IDS: [&str; 3] = ["a", "b", ""];
const TOPICS: [&str; 8] = ["a", "a/b", "no/x", "/", COMMAND, OUTLET, "a/+", ""];
const FILTERS: [&str; 8] = [
    "a",
    "a/b",
    "#",
    "+/b",
    "no/#",
    "a/#",
    "$x/f/#",
    "$share/g/a",
];
/// Steps of one script; what follows is not played.
const LONGEST: usize = 256;

/// Reads the script; past its end there are zeros.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// A packet id: few, so that they meet, and 0 among them.
    fn id(&mut self) -> [u8; 2] {
        [0, self.byte() % 6]
    }
}

/// Plays a script to its end and lets the clients go. Gives what they were told.
pub(super) async fn play(sandbox: &Sandbox, script: &[u8]) -> Heard {
    let mut heard = Heard::new();
    let mut reader = Reader(script);
    let mut peers: [Option<Peer>; 3] = [const { None }; 3];
    let mut tracked = Vec::new();
    for _ in 0..LONGEST {
        if reader.0.is_empty() {
            break;
        }
        let step = reader.byte();
        let place = usize::from(step) % peers.len();
        match step / 3 {
            0..=15 => {
                let peer = &mut peers[place];
                client_step(sandbox, step / 3, peer, &mut reader).await;
            }
            16 => {
                sandbox.door.turn();
                let app = AppKey::parse(APPS[0]).expect("a key");
                let app = Some(&app).filter(|_| reader.byte() % 2 == 0);
                Broker::access_changed(&*sandbox.kernel, app).await;
            }
            17 => tracked.extend(deliver(sandbox, &mut reader)),
            18 => change_user(sandbox, &mut reader).await,
            19 => kick(sandbox, &mut reader),
            20 => sleep(Duration::from_secs(reader.byte().into())).await,
            21 => sandbox
                .kernel
                .drop_app(&AppKey::parse(reader.pick(&APPS)).expect("a key")),
            // The rest of the steps are whole packets of one kind, which scripts need most.
            _ => {
                let peer = &mut peers[place];
                client_step(sandbox, step / 3 % 16, peer, &mut reader).await;
            }
        }
        // The clock moves when nobody has anything to do.
        sleep(Duration::from_millis(1)).await;
        for slot in &mut peers {
            if let Some(peer) = slot {
                let open = peer.listen();
                heard.append(&mut peer.heard);
                slot.take_if(|_| !open);
            }
        }
    }
    heard
}

async fn client_step(
    sandbox: &Sandbox,
    step: u8,
    slot: &mut Option<Peer>,
    reader: &mut Reader<'_>,
) {
    match step {
        0 => {
            let mut peer = sandbox.open();
            connect(&mut peer, reader).await;
            *slot = Some(peer);
            return;
        }
        1 => *slot = Some(sandbox.open()),
        2 => *slot = None,
        _ => {}
    }
    let Some(peer) = slot else {
        return;
    };
    let v5 = peer.version == Version::V5;
    let no_properties: &[u8] = if v5 { &[0] } else { &[] };
    match step {
        3 | 4 => {
            let mut body = Vec::from(reader.id());
            body.extend(no_properties);
            text(&mut body, reader.pick(&FILTERS).as_bytes());
            body.push(reader.byte());
            peer.send(&packet(0x82, &body)).await;
        }
        5 => {
            let mut body = Vec::from(reader.id());
            body.extend(no_properties);
            text(&mut body, reader.pick(&FILTERS).as_bytes());
            peer.send(&packet(0xa2, &body)).await;
        }
        6 | 7 => {
            let flags = reader.byte();
            let mut body = Vec::new();
            text(&mut body, reader.pick(&TOPICS).as_bytes());
            if flags & 0b110 != 0 {
                body.extend(reader.id());
            }
            if v5 && flags & 0x80 != 0 {
                let properties = reader.bytes();
                body.push(u8::try_from(properties.len()).unwrap_or_default() & 0x7f);
                body.extend(properties);
            } else {
                body.extend(no_properties);
            }
            if flags & 0x40 != 0 {
                body.extend(br#"{"id":"1","words":"xx"}"#);
            } else {
                body.extend(reader.bytes());
            }
            peer.send(&packet(0x30 | flags & 0x0f, &body)).await;
        }
        8 | 9 => peer.acknowledge().await,
        10 => {
            let first = reader.pick(&[0x40, 0x50, 0x62, 0x70]);
            let mut body = Vec::from(reader.id());
            let reason = reader.byte();
            if v5 && reason > 0 {
                body.push(reason);
            }
            peer.send(&packet(first, &body)).await;
        }
        11 => peer.send(&[0x62, 2, 0, reader.id()[1]]).await,
        12 => peer.send(&[0xc0, 0]).await,
        13 => {
            let reason = reader.byte();
            let body: &[u8] = if v5 { &[reason] } else { &[] };
            peer.send(&packet(0xe0, body)).await;
        }
        14 | 15 => {
            let bytes = reader.bytes();
            peer.send(bytes).await;
        }
        _ => {}
    }
}

async fn connect(peer: &mut Peer, reader: &mut Reader<'_>) {
    let flags = reader.byte();
    let hello = Hello {
        version: [Version::V5, Version::V311, Version::V31][usize::from(flags % 3)],
        clean: flags & 0x04 != 0,
        client_id: CLIENT_IDS[usize::from(flags >> 3 & 0b11) % CLIENT_IDS.len()],
        app: APPS[usize::from(flags >> 5 & 1)],
        will: flags & 0x40 != 0,
        expiry: if flags & 0x80 != 0 { 60 } else { 0 },
        receive_maximum: u16::from(reader.byte() % 4),
    };
    if hello.version == Version::V5 {
        peer.receives_at_most(hello.receive_maximum);
    }
    peer.send(&hello.encode()).await;
}

fn deliver(sandbox: &Sandbox, reader: &mut Reader<'_>) -> Option<partyline_plugin::Tracked> {
    let mut open = sandbox.kernel.registry.attachments();
    open.sort_by_key(|attachment| attachment.id);
    let place = usize::from(reader.byte());
    let attachment = open.get(place % open.len().max(1))?;
    let topic = TopicName::parse(OUTLET, &TopicLimits::MQTT).expect("a topic");
    let body = Bytes::copy_from_slice(reader.bytes());
    let message = Outgoing {
        topic,
        payload: Payload {
            head: Bytes::new(),
            body,
        },
        qos: Qos::AtLeastOnce,
    };
    let to = attachment.info().handle();
    Some(Broker::deliver_tracked(&*sandbox.kernel, to, message))
}

async fn change_user(sandbox: &Sandbox, reader: &mut Reader<'_>) {
    let mut open = sandbox.kernel.registry.attachments();
    open.sort_by_key(|attachment| attachment.id);
    let place = usize::from(reader.byte());
    let Some(attachment) = open.get(place % open.len().max(1)) else {
        return;
    };
    let user = (place % 2 == 0).then(|| UserLogin {
        username: Username::parse("anna").expect("a name"),
        class: Class::Other,
    });
    // It may be gone.
    let _ = Broker::set_user(&*sandbox.kernel, attachment.id, user).await;
}

fn kick(sandbox: &Sandbox, reader: &mut Reader<'_>) {
    let mut open = sandbox.kernel.registry.attachments();
    open.sort_by_key(|attachment| attachment.id);
    let place = usize::from(reader.byte());
    let Some(attachment) = open.get(place % open.len().max(1)) else {
        return;
    };
    let how = Kick {
        reason: Reason::AdministrativeAction,
        message: Some("out".to_owned()),
        notice: None,
    };
    Broker::kick(&*sandbox.kernel, attachment.id, how);
}
