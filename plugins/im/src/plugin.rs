//! The plugin: what it is made of and what it declares.

use std::sync::Arc;

use partyline_plugin::database::Migrations;
use partyline_plugin::services::{Accounts, Streams};
use partyline_plugin::{
    Audience, CancellationToken, Clock, Outlet, Plugin, PluginContext, Qos, Registrar, async_trait,
};
use partyline_protocol::{TopicLimits, TopicName, names};
use tokio::sync::mpsc;

use crate::collector::{Collector, Queued};
use crate::config::ImConfig;
use crate::delivery::{Deliveries, fresh_epoch};
use crate::directory::Directory;
use crate::message_id::MessageIds;
use crate::outlet::InboxOutlet;
use crate::rates::Rates;
use crate::store::{self, Batch, Store};
use crate::streams::StreamService;

/// Chat.
pub struct Im {
    pub(crate) config: Arc<ImConfig>,
    pub(crate) clock: Clock,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) deliveries: Arc<Deliveries>,
    pub(crate) queue: mpsc::Sender<Queued>,
    directory: Arc<Directory>,
}

#[async_trait]
impl Plugin for Im {
    const ID: &'static str = "im";

    type Config = ImConfig;

    fn migrations() -> Option<Migrations> {
        Some(Migrations {
            sqlite: &[(
                "streams",
                include_str!("../migrations/sqlite/0001_streams.sql"),
            )],
            postgres: &[(
                "streams",
                include_str!("../migrations/postgres/0001_streams.sql"),
            )],
        })
    }

    async fn build(cx: PluginContext, config: ImConfig) -> anyhow::Result<Self> {
        config.validate()?;
        let config = Arc::new(config);
        let store = store::open(&cx.database);
        let topic = TopicName::parse(names::IM_INBOX, &TopicLimits::default())?;
        let deliveries = Arc::new(Deliveries::new(
            cx.broker,
            Arc::clone(&store),
            cx.clock.clone(),
            cx.tasks.clone(),
            Arc::clone(&config),
            topic,
        ));
        let directory = Arc::new(Directory::new(cx.services));
        let (queue, waiting) = mpsc::channel(config.queue);
        let collector = Collector {
            store: Arc::clone(&store),
            deliveries: Arc::clone(&deliveries),
            directory: Arc::clone(&directory),
            clock: cx.clock.clone(),
            ids: MessageIds::after(store.highest_message().await?),
            rates: Rates::new(config.sends_per_minute),
            batch: config.batch,
        };
        // Not cut off when the plugin stops: what was taken on is finished.
        cx.tasks
            .spawn(collector.run(waiting, cx.tasks.stopping().clone()));
        Ok(Self {
            config,
            clock: cx.clock,
            store,
            deliveries,
            queue,
            directory,
        })
    }

    fn register(self: &Arc<Self>, registrar: &mut Registrar) {
        let outlet: Arc<dyn Outlet> = Arc::new(InboxOutlet(Arc::clone(&self.deliveries)));
        let streams: Arc<dyn Streams> = Arc::new(StreamService {
            store: Arc::clone(&self.store),
            deliveries: Arc::clone(&self.deliveries),
            directory: Arc::clone(&self.directory),
        });
        registrar
            .owns("$im/")
            .delegates("$im/session/", "accounts")
            .owns(names::SESSION_CONFIGURE)
            .command(names::MESSAGE_SEND, names::IM_REPLY, self, Self::send)
            .command(names::INBOX_SYNC, names::IM_REPLY, self, Self::sync)
            .command(names::INBOX_ACK, names::IM_REPLY, self, Self::ack)
            .command(
                names::SESSION_CONFIGURE,
                names::IM_REPLY,
                self,
                Self::configure,
            )
            .outlet(
                names::IM_INBOX,
                Qos::AtLeastOnce,
                Audience::Devices,
                Some(outlet),
            )
            .outlet(names::IM_REPLY, Qos::AtMostOnce, Audience::Devices, None)
            .requires::<dyn Accounts>()
            .provides(streams);
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        self.sweep_until(stop).await;
        Ok(())
    }

    async fn stop(&self) -> anyhow::Result<()> {
        // What was acknowledged after the collector's last batch.
        loop {
            let cursors = self.deliveries.cursors.take();
            if cursors.is_empty() {
                return Ok(());
            }
            let batch = Batch {
                messages: &[],
                cursors: &cursors,
                fresh: &fresh_epoch(),
            };
            self.store.commit(&batch).await?;
            self.deliveries.cursors.landed();
        }
    }
}
