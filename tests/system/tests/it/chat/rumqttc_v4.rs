//! rumqttc on MQTT 3.1.1, with its defaults.

use anyhow::Context;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, EventLoop, MqttOptions, Packet, QoS,
    SubscribeReasonCode,
};
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
            Ok(rumqttc::Event::Incoming(packet)) => (seen(packet), false),
            Ok(rumqttc::Event::Outgoing(rumqttc::Outgoing::Disconnect)) => (None, true),
            Ok(rumqttc::Event::Outgoing(_)) => (None, false),
            Err(ConnectionError::ConnectionRefused(code)) => (
                Some(Event::Connected {
                    code: refusal(code),
                }),
                true,
            ),
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
        Packet::PubAck(_) => Event::Acknowledged { reason: 0 },
        Packet::Publish(publish) => Event::Message {
            topic: publish.topic,
            payload: String::from_utf8_lossy(&publish.payload).into_owned(),
            qos: publish.qos as u8,
        },
        _ => return None,
    })
}

fn granted(code: SubscribeReasonCode) -> u8 {
    match code {
        SubscribeReasonCode::Success(qos) => qos as u8,
        SubscribeReasonCode::Failure => 0x80,
    }
}

fn refusal(code: ConnectReturnCode) -> u8 {
    match code {
        ConnectReturnCode::Success => 0,
        ConnectReturnCode::RefusedProtocolVersion => 1,
        ConnectReturnCode::BadClientId => 2,
        ConnectReturnCode::ServiceUnavailable => 3,
        ConnectReturnCode::BadUserNamePassword => 4,
        ConnectReturnCode::NotAuthorized => 5,
    }
}
