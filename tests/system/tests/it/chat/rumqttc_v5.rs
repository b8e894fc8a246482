//! rumqttc on MQTT 5, with its defaults.

use anyhow::Context;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, Packet, PubAckReason, SubscribeReasonCode};
use rumqttc::v5::{AsyncClient, ConnectionError, EventLoop, MqttOptions, StateError};
use tokio::sync::mpsc;

use super::client::{Client, Ends};
use super::event::{Command, Event};
use super::library::Login;

/// Requests that may wait.
const CAPACITY: usize = 16;

pub(super) fn start(login: Login) -> anyhow::Result<Client> {
    let (host, port) = login.address.rsplit_once(':').context("no port")?;
    let mut options = MqttOptions::new(login.client_id, host, port.parse()?);
    options.set_credentials(login.username, login.password);
    if !login.properties.is_empty() {
        options.set_user_properties(login.properties);
    }
    let (client, events) = AsyncClient::new(options, CAPACITY);
    Ok(Client::run(|ends| run(client, events, ends)))
}

async fn run(client: AsyncClient, mut connection: EventLoop, ends: Ends) -> anyhow::Result<()> {
    let Ends {
        mut commands,
        events,
    } = ends;
    let obey = async move {
        while let Some(command) = commands.recv().await {
            match command {
                Command::Subscribe { topic } => client.subscribe(topic, QoS::AtLeastOnce).await?,
                Command::Publish { topic, payload } => {
                    let qos = QoS::AtLeastOnce;
                    client.publish(topic, qos, false, payload).await?;
                }
            }
        }
        client.disconnect().await?;
        std::future::pending::<anyhow::Result<()>>().await
    };
    tokio::select! {
        obeyed = obey => obeyed,
        heard = listen(&mut connection, events) => heard,
    }
}

/// Until the connection ends.
async fn listen(connection: &mut EventLoop, events: mpsc::Sender<Event>) -> anyhow::Result<()> {
    loop {
        let (event, over) = match connection.poll().await {
            Ok(rumqttc::v5::Event::Incoming(packet)) => (seen(packet), false),
            Ok(rumqttc::v5::Event::Outgoing(rumqttc::Outgoing::Disconnect)) => (None, true),
            Ok(rumqttc::v5::Event::Outgoing(_)) => (None, false),
            Err(ConnectionError::ConnectionRefused(code)) => (
                Some(Event::Connected {
                    code: refusal(code),
                }),
                true,
            ),
            Err(ConnectionError::MqttState(StateError::ServerDisconnect {
                reason_code, ..
            })) => {
                let reason = reason_code as u8;
                (Some(Event::Disconnected { reason }), true)
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(event) = event
            && events.send(event).await.is_err()
        {
            return Ok(());
        }
        if over {
            return Ok(());
        }
    }
}

fn seen(packet: Packet) -> Option<Event> {
    Some(match packet {
        Packet::ConnAck(connack) => Event::Connected {
            code: refusal(connack.code),
        },
        Packet::SubAck(suback) => Event::Subscribed {
            codes: suback.return_codes.into_iter().map(granted).collect(),
        },
        Packet::PubAck(puback) => Event::Acknowledged {
            reason: acknowledged(puback.reason),
        },
        Packet::Publish(publish) => Event::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: String::from_utf8_lossy(&publish.payload).into_owned(),
            qos: publish.qos as u8,
        },
        _ => return None,
    })
}

fn granted(code: SubscribeReasonCode) -> u8 {
    match code {
        SubscribeReasonCode::Success(qos) => qos as u8,
        SubscribeReasonCode::NotAuthorized => 0x87,
        _ => 0x80,
    }
}

fn acknowledged(reason: PubAckReason) -> u8 {
    match reason {
        PubAckReason::Success => 0,
        PubAckReason::NoMatchingSubscribers => 0x10,
        PubAckReason::ImplementationSpecificError => 0x83,
        PubAckReason::NotAuthorized => 0x87,
        PubAckReason::QuotaExceeded => 0x97,
        PubAckReason::PayloadFormatInvalid => 0x99,
        _ => 0x80,
    }
}

fn refusal(code: ConnectReturnCode) -> u8 {
    match code {
        ConnectReturnCode::Success => 0,
        ConnectReturnCode::BadUserNamePassword => 0x86,
        ConnectReturnCode::NotAuthorized => 0x87,
        ConnectReturnCode::Banned => 0x8a,
        _ => 0x80,
    }
}
