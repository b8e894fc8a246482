//! The plugin, built and registered, and clients of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use partyline_im::{Im, ImConfig};
use partyline_plugin::database::Database;
use partyline_plugin::host::Registrations;
use partyline_plugin::services::{Accounts, Services, Streams};
use partyline_plugin::{
    BrokerHandle, CancellationToken, Clock, CommandCx, CommandReply, DeviceKey, Outlet, Owner,
    Plugin, PluginContext, Principal, ProtocolVersion, Reason, Registrar, Role, SessionId,
    SessionInfo, Tasks, UserLogin,
};
use partyline_protocol::{
    AppKey, Class, ClientId, Member, RegistrationId, Reply, RequestError, Sent, Username, names,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::accounts::FakeAccounts;
use super::{Delivered, FakeBroker};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn app() -> AppKey {
    AppKey::parse("a".repeat(24)).unwrap()
}

pub(crate) fn user(name: &str) -> Member {
    Member {
        appkey: app(),
        username: Username::parse(name).unwrap(),
    }
}

pub(crate) struct Fixture {
    pub(crate) im: Arc<Im>,
    pub(crate) broker: Arc<FakeBroker>,
    pub(crate) accounts: Arc<FakeAccounts>,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) streams: Arc<dyn Streams>,
    declared: Arc<Registrations>,
    tasks: Tasks,
    stop: CancellationToken,
    next_session: AtomicU64,
}

impl Fixture {
    pub(crate) async fn new(database: Database) -> Self {
        Self::with(database, |_| {}).await
    }

    pub(crate) async fn with(database: Database, configure: impl FnOnce(&mut ImConfig)) -> Self {
        Self::at(database, Clock::default(), configure).await
    }

    pub(crate) async fn at(
        database: Database,
        clock: Clock,
        configure: impl FnOnce(&mut ImConfig),
    ) -> Self {
        let (broker, services) = (Arc::new(FakeBroker::default()), Services::default());
        let accounts = Arc::new(FakeAccounts::default());
        services.provide::<dyn Accounts>(Arc::clone(&accounts) as Arc<dyn Accounts>);
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let cx = PluginContext::new(
            BrokerHandle::new(Arc::clone(&broker) as _),
            database.clone(),
            services.clone(),
            tasks.clone(),
            clock.clone(),
            Arc::from(Path::new("/nowhere")),
            Duration::from_secs(10),
        );
        let mut config = ImConfig::default();
        configure(&mut config);
        let im = Arc::new(Im::build(cx, config).await.unwrap());
        let mut registrar = Registrar::new(Im::ID, services.clone());
        im.register(&mut registrar);
        let streams = services.get::<dyn Streams>().unwrap();
        Self {
            im,
            broker,
            accounts,
            clock,
            database,
            streams,
            declared: Arc::new(registrar.finish()),
            tasks,
            stop,
            next_session: AtomicU64::new(1),
        }
    }

    /// Stops the plugin as the host does.
    pub(crate) async fn stop(self) -> (Database, Clock) {
        self.stop.cancel();
        self.tasks.finished().await;
        self.im.stop().await.unwrap();
        (self.database, self.clock)
    }

    /// A client connects as a user on a device of the same name.
    pub(crate) fn client(&self, name: &str, device: &str) -> Client {
        self.client_with(name, device, None)
    }

    pub(crate) fn client_with(&self, name: &str, device: &str, max_packet: Option<u32>) -> Client {
        let id = self.next_session.fetch_add(1, Ordering::Relaxed);
        let session = session(id, name, device, max_packet);
        self.client_of(session)
    }

    pub(crate) fn client_of(&self, session: Arc<SessionInfo>) -> Client {
        let deliveries = self.broker.connect(&session);
        Client {
            session,
            deliveries,
            declared: Arc::clone(&self.declared),
        }
    }

    pub(crate) fn disconnect(&self, client: &Client) {
        self.broker.disconnect(client.session.id);
    }

    pub(crate) async fn place(&self, name: &str) -> (String, u64) {
        let place = self
            .streams
            .place(&app(), &user(name).username)
            .await
            .unwrap();
        (place.epoch.as_str().to_owned(), place.head.get())
    }
}

pub(crate) fn session(
    id: u64,
    name: &str,
    device: &str,
    max_packet: Option<u32>,
) -> Arc<SessionInfo> {
    let username = user(name).username;
    let key = DeviceKey {
        app: app(),
        owner: Owner::User(username.clone()),
        client_id: ClientId::parse(device).unwrap(),
    };
    let principal = Principal {
        role: Role::Device,
        registration: Some(RegistrationId::parse(device).unwrap()),
        user: Some(UserLogin {
            username,
            class: Class::Other,
        }),
    };
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let version = ProtocolVersion::V5;
    Arc::new(SessionInfo::new(
        SessionId::new(id),
        key,
        principal,
        version,
        peer,
        max_packet,
    ))
}

/// A client, on the broker's side of its connection.
pub(crate) struct Client {
    pub(crate) session: Arc<SessionInfo>,
    deliveries: mpsc::UnboundedReceiver<Delivered>,
    declared: Arc<Registrations>,
}

impl Client {
    fn outlet(&self) -> Arc<dyn Outlet> {
        let mut outlets = self.declared.outlets.iter();
        let inbox = outlets
            .find(|entry| entry.topic == names::IM_INBOX)
            .unwrap();
        inbox.outlet.clone().unwrap()
    }

    /// Subscribes to the inbox.
    pub(crate) async fn subscribe(&self) {
        self.outlet().opened(&self.session).await;
    }

    /// Takes the subscription back.
    pub(crate) async fn unsubscribe(&self) {
        self.outlet().closed(&self.session).await;
    }

    /// The next batch.
    pub(crate) async fn next(&mut self) -> Delivered {
        let next = tokio::time::timeout(PATIENCE, self.deliveries.recv()).await;
        next.expect("a batch within the patience of the test")
            .expect("an open connection")
    }

    /// Takes batches until the stream has reached `head`.
    pub(crate) async fn take_to(&mut self, head: u64) {
        loop {
            let batch = self.next().await;
            let (_, seq) = batch.span();
            batch.ack();
            if seq >= head {
                return;
            }
        }
    }

    /// Nothing came here, while `witness`, another device of the same user, got all up to `head`.
    pub(crate) async fn hears_nothing(&mut self, witness: &mut Client, head: u64) {
        witness.take_to(head).await;
        let heard = self.deliveries.try_recv().ok();
        assert!(heard.is_none(), "{:?}", heard.map(|batch| batch.span()));
    }

    /// Starts a command; it is polled once, as the broker does.
    pub(crate) fn start(
        &self,
        topic: &str,
        request: &Value,
    ) -> impl Future<Output = CommandReply> + use<> {
        let mut commands = self.declared.commands.iter();
        let command = commands.find(|command| command.topic == topic).unwrap();
        let cx = CommandCx::new(Arc::clone(&self.session));
        let mut running = command.handler.call(cx, request.to_string().into());
        let mut poll = std::task::Context::from_waker(std::task::Waker::noop());
        let first = running.as_mut().poll(&mut poll);
        async move {
            match first {
                std::task::Poll::Ready(reply) => reply,
                std::task::Poll::Pending => tokio::time::timeout(PATIENCE, running)
                    .await
                    .expect("a reply in time"),
            }
        }
    }

    /// Carries out a command.
    pub(crate) async fn call<T: DeserializeOwned>(
        &self,
        topic: &str,
        request: Value,
    ) -> Result<T, RequestError> {
        let reply = self.start(topic, &request).await;
        let decoded = Reply::<T>::decode(&reply.payload).unwrap();
        let success = reply.reason == Reason::Success;
        assert_eq!(
            success,
            decoded.result.is_ok(),
            "reply and acknowledgement agree"
        );
        decoded.result
    }

    /// Sends a text.
    pub(crate) async fn send(&self, to: &str, id: &str, text: &str) -> Result<Sent, RequestError> {
        self.call(names::MESSAGE_SEND, text_to(to, id, text)).await
    }
}

/// A `message/send`.
pub(crate) fn text_to(to: &str, id: &str, text: &str) -> Value {
    json!({
        "id": id, "client_msg_id": id, "target_type": "single", "target_id": to,
        "msg_type": "text", "msg_body": {"text": text},
    })
}
