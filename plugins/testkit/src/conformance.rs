//! What every plugin should pass.
//!
//! In a test module of the plugin `echo`:
//!
//! ```ignore
//! partyline_testkit::conformance!(Conformance::<Echo>::new(json!({"loud": false})));
//! ```

mod odd;

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, ensure};
use partyline_plugin::Plugin;
use partyline_plugin::database::{Database, Pool};
use partyline_plugin::sqlx;
use serde_json::Value;
use tokio::time::Instant;

use crate::{ReloadOutcome, TestBroker, TestBrokerBuilder, TestContext};

/// How long the broker gives a plugin to stop here, seconds.
const GRACE: u16 = 5;

/// A key that no plugin has.
const UNKNOWN: &str = "no_plugin_has_this_key";

type Building<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send + 'a>>;
type Start = Box<dyn Fn(TestBrokerBuilder) -> TestBrokerBuilder + Send + Sync>;
type Build = Box<dyn for<'a> Fn(&'a TestContext) -> Building<'a> + Send + Sync>;

/// The suite for one plugin; [`conformance!`](crate::conformance!) makes a test of each of its
/// rules. Errors say what is wrong with the plugin.
pub struct Conformance<P> {
    config: Value,
    start: Vec<Start>,
    build: Vec<Build>,
    namespaces: &'static [&'static str],
    plugin: PhantomData<fn() -> P>,
}

impl<P> fmt::Debug for Conformance<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Conformance")
    }
}

impl<P: Plugin> Conformance<P> {
    /// With a configuration that the plugin takes, a JSON object.
    pub fn new(config: Value) -> Self {
        Self {
            config,
            start: Vec::new(),
            build: Vec::new(),
            namespaces: &[],
            plugin: PhantomData,
        }
    }

    /// Together with another plugin, or a double of it, whose services the plugin requires.
    #[must_use]
    pub fn with<Q: Plugin>(mut self, config: &Value) -> Self {
        let (first, second) = (config.clone(), config.clone());
        self.start
            .push(Box::new(move |builder| builder.plugin::<Q>(first.clone())));
        self.build.push(Box::new(move |context| {
            let config = second.clone();
            Box::pin(async move { context.build::<Q>(config).await.map(drop) })
        }));
        self
    }

    /// Allows namespaces beside `$x/{id}/`, for plugins that come with the broker.
    #[must_use]
    pub fn owns(mut self, namespaces: &'static [&'static str]) -> Self {
        self.namespaces = namespaces;
        self
    }

    fn builder(&self, config: Value) -> TestBrokerBuilder {
        let others = self.start.iter();
        others
            .fold(TestBroker::builder(), |builder, start| start(builder))
            .plugin::<P>(config)
            .config(|config| config.mqtt.stop_grace = GRACE)
    }

    async fn started(&self) -> anyhow::Result<TestBroker> {
        let started = self.builder(self.config.clone()).start().await;
        started.with_context(|| format!("{} does not start with its configuration", P::ID))
    }

    fn with_unknown_key(&self) -> anyhow::Result<Value> {
        let mut config = self.config.clone();
        let table = config
            .as_object_mut()
            .context("the configuration is no object")?;
        table.insert(UNKNOWN.to_owned(), true.into());
        Ok(config)
    }

    /// A mistyped key keeps the broker from starting, and the error names the plugin and the key.
    pub async fn an_unknown_key_is_refused(&self) -> anyhow::Result<()> {
        self.started().await?.stop().await;
        let started = self.builder(self.with_unknown_key()?).start().await;
        let Err(error) = started else {
            anyhow::bail!("{} ignores a key that it does not know", P::ID);
        };
        let said = format!("{error:#}");
        ensure!(said.contains(P::ID), "the plugin is not named: {said}");
        ensure!(said.contains(UNKNOWN), "the key is not named: {said}");
        Ok(())
    }

    /// It starts a second time on the data of the first.
    pub async fn it_starts_again_on_its_data(&self) -> anyhow::Result<()> {
        let folder = self.started().await?.stop().await;
        let again = self.builder(self.config.clone()).folder(folder);
        let again = again.start().await;
        let again = again.with_context(|| format!("{} does not start a second time", P::ID))?;
        again.stop().await;
        Ok(())
    }

    /// Its topics lie under `$x/{id}/`, and its tables begin with its id.
    pub async fn its_names_are_its_own(&self) -> anyhow::Result<()> {
        let broker = self.started().await?;
        let own = format!("$x/{}/", P::ID);
        for namespace in broker.describe().namespaces {
            if namespace.plugin == P::ID {
                let prefix = namespace.prefix;
                let allowed = prefix.starts_with(&own) || self.namespaces.contains(&prefix);
                ensure!(allowed, "{} owns {prefix}, not {own}", P::ID);
            }
        }
        broker.stop().await;
        let context = TestContext::new().await?;
        if let Some(migrations) = P::migrations() {
            context.database().migrate(P::ID, migrations).await?;
        }
        let id = P::ID.replace('-', "_");
        for table in tables(context.database()).await? {
            let own = table == format!("_migrations_{id}") || table.starts_with(&format!("{id}_"));
            ensure!(own, "the table {table} does not begin with {id}_");
        }
        context.stop().await
    }

    /// What it spawned ends when it is told to, and it flushes in time.
    pub async fn it_stops_in_time(&self) -> anyhow::Result<()> {
        let broker = self.started().await?;
        let began = Instant::now();
        broker.stop().await;
        let took = began.elapsed();
        let grace = Duration::from_secs(GRACE.into());
        ensure!(took < grace, "{} took {took:?} to stop", P::ID);
        Ok(())
    }

    /// It says that it is well.
    pub async fn it_answers_for_its_health(&self) -> anyhow::Result<()> {
        let broker = self.started().await?;
        let ready = broker.http().get("/readyz").await?;
        broker.stop().await;
        ensure!(ready.status == 200, "not ready: {}", ready.body);
        Ok(())
    }

    /// The same configuration again changes nothing, and one with an unknown key is refused.
    pub async fn it_can_be_asked_to_reload(&self) -> anyhow::Result<()> {
        let broker = self.started().await?;
        let outcomes = broker.reload_with(P::ID, self.config.clone()).await?;
        let outcome = outcomes.iter().find(|(plugin, _)| *plugin == P::ID);
        let outcome = outcome.map(|(_, outcome)| outcome);
        ensure!(
            outcome == Some(&ReloadOutcome::Unchanged),
            "{outcome:?} of the same configuration"
        );
        let refused = broker.reload_with(P::ID, self.with_unknown_key()?).await;
        broker.stop().await;
        ensure!(
            refused.is_err_and(|error| error.plugin == P::ID),
            "{} takes up a key that it does not know",
            P::ID
        );
        Ok(())
    }

    /// Whatever a client sends, its hooks, commands, outlets and observers neither panic nor fail.
    pub async fn odd_input_is_no_fault(&self) -> anyhow::Result<()> {
        let context = TestContext::new().await?;
        for build in &self.build {
            build(&context).await?;
        }
        let plugin = context.build::<P>(self.config.clone()).await?;
        odd::try_all(&context, &plugin).await?;
        drop(plugin);
        context.stop().await
    }
}

async fn tables(database: &Database) -> anyhow::Result<Vec<String>> {
    let Pool::Sqlite { reader, .. } = database.pool() else {
        anyhow::bail!("the suite uses SQLite");
    };
    let query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    Ok(sqlx::query_scalar(query).fetch_all(reader).await?)
}

/// Runs a test's future; for [`conformance!`](crate::conformance!).
#[doc(hidden)]
pub fn run<T>(test: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(test)
}

/// Makes tests, one for each rule of a [`Conformance`] suite. Give them a module of their own.
#[macro_export]
macro_rules! conformance {
    ($suite:expr) => {
        $crate::conformance!(
            $suite,
            an_unknown_key_is_refused
            it_starts_again_on_its_data
            its_names_are_its_own
            it_stops_in_time
            it_answers_for_its_health
            it_can_be_asked_to_reload
            odd_input_is_no_fault
        );
    };
    ($suite:expr, $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() -> $crate::anyhow::Result<()> {
                $crate::run(async { $suite.$rule().await })
            }
        )*
    };
}
