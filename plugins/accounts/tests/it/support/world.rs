use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use partyline_accounts::{AccountsPlugin, Config, Directory, NewApp};
use partyline_plugin::database::Database;
use partyline_plugin::host::{Broker, Registrations};
use partyline_plugin::services::{Accounts, Services, Streams};
use partyline_plugin::{
    AuthVerdict, Authenticate, BrokerHandle, CancellationToken, Clock, CommandCx, ConnectRefusal,
    ConnectRequest, Outgoing, Plugin, PluginContext, ProtocolVersion, Reason, Registrar, SessionId,
    SessionInfo, Tasks,
};
use partyline_protocol::{
    ClientId, ErrorCode, LoggedIn, RegistrationId, Reply, SessionNotice, Username, names,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{TestBroker, TestStreams, database, eventually};

pub(crate) const PEER: &str = "192.0.2.1:40000";

/// The plugin as the host runs it, on a database of its own, with a demo app in which `alice` and `bobby` have
/// the password `password`.
pub(crate) struct World {
    pub(crate) app: NewApp,
    pub(crate) broker: Arc<TestBroker>,
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) directory: Arc<Directory>,
    pub(crate) registrations: Registrations,
    pub(crate) services: Services,
    pub(crate) streams: Arc<TestStreams>,
    hook: Arc<dyn Authenticate>,
    tasks: Tasks,
    stop: CancellationToken,
    _folder: TempDir,
}

/// An accepted connection and what it was told.
pub(crate) struct Connected {
    pub(crate) session: Arc<SessionInfo>,
    pub(crate) notice: SessionNotice,
    pub(crate) properties: Vec<(String, String)>,
}

impl Connected {
    pub(crate) fn id(&self) -> SessionId {
        self.session.id
    }

    pub(crate) fn registration(&self) -> &RegistrationId {
        self.session.principal.registration.as_ref().unwrap()
    }

    /// The token issued at this login.
    pub(crate) fn token(&self) -> String {
        self.notice.token.as_ref().unwrap().expose().to_owned()
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::for_test();
        config.changes.poll_ms = 5;
        adjust(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let database = database::fresh().await;

        let broker = Arc::new(TestBroker::default());
        let (clock, services) = (Clock::default(), Services::default());
        let stop = CancellationToken::new();
        let tasks = Tasks::new(stop.clone());
        let cx = PluginContext::new(
            BrokerHandle::new(Arc::clone(&broker) as Arc<dyn Broker>),
            database.clone(),
            services.clone(),
            tasks.clone(),
            clock.clone(),
            folder.path().into(),
            Duration::from_secs(10),
        );
        let plugin = Arc::new(AccountsPlugin::build(cx, config).await.unwrap());
        let mut registrar = Registrar::new(AccountsPlugin::ID, services.clone());
        plugin.register(&mut registrar);
        let registrations = registrar.finish();
        let streams = Arc::new(TestStreams::default());
        services.provide::<dyn Streams>(Arc::clone(&streams) as Arc<dyn Streams>);
        let directory = services.get::<Directory>().unwrap();
        let app = directory.first_start().await.unwrap().unwrap().app;
        for name in ["alice", "bobby"] {
            directory
                .add_user(&app.app_key, &user(name), Some("password"))
                .await
                .unwrap();
        }
        let (running, stopped) = (Arc::clone(&plugin), stop.clone());
        tasks.spawn(async move { running.run(stopped).await.unwrap() });
        let hook = Arc::clone(&registrations.authenticate[0].hook);
        Self {
            app,
            broker,
            clock,
            database,
            directory,
            registrations,
            services,
            streams,
            hook,
            tasks,
            stop,
            _folder: folder,
        }
    }

    /// A directory of another process on the same database.
    pub(crate) fn other_process(&self) -> Directory {
        let config = Config::for_test();
        Directory::new(self.database.clone(), self.clock.clone(), config).unwrap()
    }

    pub(crate) fn accounts(&self) -> Arc<dyn Accounts> {
        self.services.get::<dyn Accounts>().unwrap()
    }

    pub(crate) fn device_request(&self, id: &str, secret: Option<&str>) -> ConnectRequest {
        self.request("", id, secret)
    }

    pub(crate) fn user_request(&self, name: &str, id: &str, password: &str) -> ConnectRequest {
        self.request(&format!("/{name}"), id, Some(password))
    }

    /// A request of MQTT 5 with the app key and `rest` as user name.
    pub(crate) fn request(&self, rest: &str, id: &str, password: Option<&str>) -> ConnectRequest {
        let peer: SocketAddr = PEER.parse().unwrap();
        let mut request = ConnectRequest::new(client_id(id), ProtocolVersion::V5, peer);
        request.username = Some(format!("{}{rest}", self.app.app_key).into());
        request.password = password.map(|password| password.as_bytes().to_vec().into());
        request
    }

    pub(crate) async fn judge(&self, request: &ConnectRequest) -> AuthVerdict {
        self.hook.authenticate(request).await.unwrap()
    }

    pub(crate) async fn connect(&self, request: &ConnectRequest) -> Connected {
        let admission = match self.judge(request).await {
            AuthVerdict::Allow(admission) => *admission,
            other => panic!("{request:?} was not let in: {other:?}"),
        };
        let notice = admission.welcome.first().map(read_notice).unwrap();
        let properties = admission.connack_properties.clone();
        let session = self.broker.open(request, admission);
        Connected {
            session,
            notice,
            properties,
        }
    }

    pub(crate) async fn refusal(&self, request: &ConnectRequest) -> ConnectRefusal {
        match self.judge(request).await {
            AuthVerdict::Deny(refusal) => refusal,
            other => panic!("{request:?} was not refused: {other:?}"),
        }
    }

    pub(crate) async fn refused(&self, request: &ConnectRequest) -> Reason {
        self.refusal(request).await.reason
    }

    pub(crate) async fn device(&self, id: &str, secret: &str) -> Connected {
        self.connect(&self.device_request(id, Some(secret))).await
    }

    pub(crate) async fn user(&self, name: &str, id: &str) -> Connected {
        self.connect(&self.user_request(name, id, "password")).await
    }

    pub(crate) async fn user_on(&self, name: &str, id: &str, platform: &str) -> Connected {
        let mut request = self.user_request(name, id, "password");
        name_property(&mut request, "platform", platform);
        self.connect(&request).await
    }

    /// Sends a command on a connection and decodes its reply.
    pub(crate) async fn command<T: DeserializeOwned>(
        &self,
        session: SessionId,
        topic: &str,
        request: Value,
    ) -> Result<T, ErrorCode> {
        let entry = self
            .registrations
            .commands
            .iter()
            .find(|entry| entry.topic == topic)
            .unwrap();
        let session = self.broker.session(session).expect("an open connection");
        let payload = serde_json::to_vec(&request).unwrap().into();
        let reply = entry.handler.call(CommandCx::new(session), payload).await;
        Reply::decode(&reply.payload)
            .unwrap()
            .result
            .map_err(|error| error.code)
    }

    pub(crate) async fn login(
        &self,
        session: SessionId,
        name: &str,
    ) -> Result<LoggedIn, ErrorCode> {
        let request = json!({ "username": name, "password": "password" });
        self.command(session, names::SESSION_LOGIN, request).await
    }

    /// Subscribes to `$session` and returns what that brings.
    pub(crate) async fn subscribe(&self, session: SessionId) -> SessionNotice {
        let outlet = self.registrations.outlets[0].outlet.as_ref().unwrap();
        outlet.opened(&self.broker.session(session).unwrap()).await;
        let mut delivered = Vec::new();
        eventually!({
            delivered.extend(self.broker.take_delivered(session));
            !delivered.is_empty()
        });
        read_notice(&delivered[0])
    }

    pub(crate) fn username_of(&self, session: SessionId) -> Option<Username> {
        self.broker
            .session(session)
            .and_then(|session| session.principal.username().cloned())
    }

    /// Stops the plugin as the host does.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tasks.finished().await;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn name_property(request: &mut ConnectRequest, name: &str, value: &str) {
    request.user_properties.push((name.into(), value.into()));
}

pub(crate) fn read_notice(message: &Outgoing) -> SessionNotice {
    assert_eq!(message.topic.as_str(), names::SESSION);
    serde_json::from_slice(&message.payload.body).unwrap()
}

pub(crate) fn user(name: &str) -> Username {
    Username::parse(name).unwrap()
}

pub(crate) fn client_id(id: &str) -> ClientId {
    ClientId::parse(id).unwrap()
}
