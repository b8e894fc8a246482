//! What the benches of this crate drive, by the feature `bench`. No part of its interface.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use partyline_plugin::protocol::{AppKey, ClientId, IdError, TopicError, TopicFilter, TopicLimits};
use partyline_plugin::services::Services;
use partyline_plugin::{
    Clock, DeviceKey, Message, Owner, Principal, ProtocolVersion, Qos, Registrar, RetainHandling,
    Role, SessionId, SessionInfo, Verdict,
};

use crate::codec::{Codec, encode_publish};
use crate::config::LimitsConfig;
use crate::packet::SubscribeOptions;
use crate::plugins::HookTable;
use crate::router::AppSpace;
use crate::session::{Commands, Session};
use crate::store::Journal;

/// Largest packet, bytes.
const LARGEST: usize = 256 * 1024;

fn device() -> Result<DeviceKey, IdError> {
    Ok(DeviceKey {
        app: AppKey::parse("aaaaaaaaaaaaaaaaaaaaaaaa")?,
        owner: Owner::Device,
        client_id: ClientId::parse("bench")?,
    })
}

/// Reads packets of clients.
#[derive(Debug)]
pub struct Decoder(Codec);

impl Decoder {
    pub fn new(version: ProtocolVersion) -> Self {
        Self(Codec::new(version, LARGEST))
    }

    /// Takes packets off `input` up to the first that is not whole or not good, and returns how many
    /// there were.
    pub fn take_all(&mut self, input: &mut BytesMut) -> usize {
        let mut count = 0;
        while let Ok(Some(_)) = self.0.decode(input) {
            count += 1;
        }
        count
    }
}

/// Encodes a PUBLISH once, and writes it for so many receivers.
pub fn encode(v5: bool, topic: &str, payload: Bytes, receivers: u16, output: &mut BytesMut) {
    let qos = Qos::AtLeastOnce;
    if let Some(frame) = encode_publish(v5, topic, payload, true, None, None) {
        for id in 1..=receivers {
            frame.write(qos, id, false, false, output);
        }
    }
}

/// The topics of one app.
#[derive(Debug)]
pub struct Topics {
    space: Arc<AppSpace>,
    session: Arc<Session>,
}

impl Topics {
    /// Without any subscription.
    pub fn new() -> Result<Self, IdError> {
        let device = device()?;
        let journal = Arc::new(Journal::new(Clock::default()));
        let space = AppSpace::new(device.app.clone(), &LimitsConfig::default(), journal);
        let space = Arc::new(space);
        let commands = Arc::new(Commands::default());
        let session = Session::new(device, None, Arc::clone(&space), commands);
        Ok(Self {
            space,
            session: Arc::new(session),
        })
    }

    /// Subscribes a session to a filter.
    pub fn subscribe(&self, filter: &str) -> Result<(), TopicError> {
        let filter = TopicFilter::parse(filter, &TopicLimits::default())?;
        let options = SubscribeOptions {
            qos: Qos::AtMostOnce,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Always,
            subscription_id: None,
        };
        self.space.subscribe(&filter, &self.session, options);
        Ok(())
    }

    /// How many sessions get a message to this topic.
    pub fn receivers(&self, topic: &str) -> usize {
        self.space.targets(topic, None).len()
    }
}

/// The filters that a plain message meets.
#[derive(Debug)]
pub struct Chain {
    hooks: HookTable,
    info: SessionInfo,
}

impl Chain {
    /// What `declare` registers.
    pub fn new(declare: impl FnOnce(&mut Registrar)) -> Result<Self, IdError> {
        let mut registrar = Registrar::new("bench", Services::default());
        declare(&mut registrar);
        let principal = Principal {
            role: Role::Device,
            registration: None,
            user: None,
        };
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let version = ProtocolVersion::V311;
        Ok(Self {
            hooks: HookTable::new(vec![("bench", registrar.finish())]),
            info: SessionInfo::new(SessionId::new(1), device()?, principal, version, peer, None),
        })
    }

    /// Runs them.
    pub async fn run(&self, message: &mut Message) -> Verdict {
        self.hooks.filter_publish(&self.info, message).await
    }
}
