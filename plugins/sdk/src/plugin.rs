//! The plugin itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use figment::Figment;
use figment::error::Kind;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use tokio_util::sync::CancellationToken;

use crate::database::Migrations;
use crate::{PluginContext, Registrar};

/// Whether a plugin can do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Up,
    /// It cannot, and why.
    Down(String),
}

/// What became of a new configuration.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reload {
    /// It is in force.
    Applied,
    /// It will be in force after a restart; nothing of it is now.
    RestartNeeded,
}

/// A plugin. The host calls, in order:
///
/// | call | once for each plugin, in the order of `[plugins] enabled` | if it fails |
/// |---|---|---|
/// | `validate` | of every plugin, before anything is opened | no start |
/// | `migrations`, `build` | one plugin after the other; a later one finds no service of an earlier one yet | no start |
/// | `register` | when all are built; services are complete when all have registered | no start |
/// | `routes` | when all have registered | a panic: no start |
/// | `run` | of all at once, then connections are taken | started again after 1 s, doubled up to 60 s |
/// | `reload` | at any time after, one at a time, 10 s | the old configuration is in force |
/// | `health` | at any time after | the broker is not ready |
/// | `stop` | in reverse order, when connections are closed and the plugin's `run` and tasks were told to stop | logged |
///
/// `run`'s end and then `stop` have `mqtt.stop_grace` each. Files of its own a plugin keeps in a
/// folder `plugins/{ID}` of `data_dir` of its [`PluginContext`], which it makes itself; the rest of that
/// folder is the broker's.
#[async_trait]
pub trait Plugin: Sized + Send + Sync + 'static {
    /// Stable id: its configuration table `[plugins.{ID}]`, its migrations table, its log name, its
    /// topics `$x/{ID}/`. At most 40 characters, `a` to `z`, `0` to `9` and `-`, a letter first; the
    /// broker does not start with another.
    const ID: &'static str;

    /// Its configuration. A key that it does not take, mistyped perhaps, is an error at any depth,
    /// with `#[serde(deny_unknown_fields)]` or without; with it the error lists the keys that there are.
    type Config: DeserializeOwned + Serialize + Send + Sync + 'static;

    /// Its tables, brought up to date before `build`.
    fn migrations() -> Option<Migrations> {
        None
    }

    /// Whether a configuration that could be read also makes sense. Asked before `build` and
    /// before `reload`, and when an operator only wants to know: so it looks at nothing but the
    /// configuration, and not at files, the network or the database.
    fn validate(config: &Self::Config) -> anyhow::Result<()> {
        let _ = config;
        Ok(())
    }

    /// Makes it. No packets flow yet; an error keeps the broker from starting and names the plugin.
    async fn build(cx: PluginContext, config: Self::Config) -> anyhow::Result<Self>;

    /// Declares namespaces, commands, outlets, hooks and services. Called once, after `build`.
    fn register(self: &Arc<Self>, registrar: &mut Registrar);

    /// Its HTTP routes, such as `/report`, which the broker serves at `/v1/plugins/{ID}/report`.
    /// Called once, after `register`.
    ///
    /// They are for who runs the broker, like all under `/v1/plugins`: the host has authorized the
    /// request. It bounds the body (`http.body_bytes`) and the time (`http.request_timeout`, then
    /// 503), and answers a panic with 500.
    fn routes(self: &Arc<Self>) -> Router {
        Router::new()
    }

    /// Long-running work, started once all plugins are registered.
    async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        stop.cancelled().await;
        Ok(())
    }

    /// Takes up a new configuration, which was found valid, as were those of all plugins. Called
    /// when an operator asks for a reload and the plugin's table has changed. All of it is applied
    /// or nothing: where that cannot be, say [`Reload::RestartNeeded`].
    async fn reload(&self, config: Self::Config) -> anyhow::Result<Reload> {
        let _ = config;
        Ok(Reload::RestartNeeded)
    }

    /// Whether it can work.
    async fn health(&self) -> Health {
        Health::Up
    }

    /// Flushes, after connections are closed and `run` has ended.
    async fn stop(&self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// A built plugin with its types erased; implemented for every [`Plugin`].
#[async_trait]
pub trait DynPlugin: Send + Sync + 'static {
    /// [`Plugin::register`].
    fn register(self: Arc<Self>, registrar: &mut Registrar);
    /// [`Plugin::routes`].
    fn routes(self: Arc<Self>) -> Router;
    /// [`Plugin::run`].
    async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()>;
    /// Reads its part of the configuration and finds it valid; the future hands it to
    /// [`Plugin::reload`].
    fn prepare_reload(self: Arc<Self>, figment: &Figment)
    -> Result<Reloading, Box<figment::Error>>;
    /// [`Plugin::health`].
    async fn health(&self) -> Health;
    /// [`Plugin::stop`].
    async fn stop(&self) -> anyhow::Result<()>;
}

#[async_trait]
impl<P: Plugin> DynPlugin for P {
    fn register(self: Arc<Self>, registrar: &mut Registrar) {
        Plugin::register(&self, registrar);
    }

    fn routes(self: Arc<Self>) -> Router {
        Plugin::routes(&self)
    }

    async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        Plugin::run(self, stop).await
    }

    fn prepare_reload(
        self: Arc<Self>,
        figment: &Figment,
    ) -> Result<Reloading, Box<figment::Error>> {
        let config = config_of::<P>(figment)?;
        Ok(Box::pin(
            async move { Plugin::reload(&*self, config).await },
        ))
    }

    async fn health(&self) -> Health {
        Plugin::health(self).await
    }

    async fn stop(&self) -> anyhow::Result<()> {
        Plugin::stop(self).await
    }
}

/// A plugin about to take up a configuration.
pub type Reloading = Pin<Box<dyn Future<Output = anyhow::Result<Reload>> + Send>>;

type Building = Pin<Box<dyn Future<Output = anyhow::Result<Arc<dyn DynPlugin>>> + Send>>;

/// How the host makes a plugin: its id, its tables, and its constructor.
pub struct PluginFactory {
    /// [`Plugin::ID`].
    pub id: &'static str,
    /// [`Plugin::migrations`].
    pub migrations: Option<Migrations>,
    check: fn(&Figment) -> Result<(), Box<figment::Error>>,
    build: Box<dyn FnOnce(PluginContext, Figment) -> Building + Send>,
}

impl PluginFactory {
    /// The factory of `P`.
    pub fn of<P: Plugin>() -> Self {
        Self {
            id: P::ID,
            migrations: P::migrations(),
            check: |figment| config_of::<P>(figment).map(drop),
            build: Box::new(|cx, figment| {
                Box::pin(async move {
                    let config = config_of::<P>(&figment)?;
                    let plugin: Arc<dyn DynPlugin> = Arc::new(P::build(cx, config).await?);
                    Ok(plugin)
                })
            }),
        }
    }

    /// Whether its part of the configuration holds; the error names file and key.
    pub fn check(&self, figment: &Figment) -> Result<(), Box<figment::Error>> {
        (self.check)(figment)
    }

    /// Reads its part of the configuration and builds it.
    pub async fn build(
        self,
        cx: PluginContext,
        figment: Figment,
    ) -> anyhow::Result<Arc<dyn DynPlugin>> {
        (self.build)(cx, figment).await
    }
}

impl std::fmt::Debug for PluginFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PluginFactory({})", self.id)
    }
}

/// A configuration, and the first key that its type passed over.
struct Strict<C> {
    config: C,
    ignored: Option<String>,
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for Strict<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut ignored = None;
        let config = serde_ignored::deserialize(deserializer, |path| {
            ignored.get_or_insert(path.to_string());
        })?;
        Ok(Self { config, ignored })
    }
}

/// The configuration of a plugin: its table, or an empty one so that serde's defaults apply; found
/// valid.
pub fn config_of<P: Plugin>(figment: &Figment) -> Result<P::Config, Box<figment::Error>> {
    let key = format!("plugins.{}", P::ID);
    let empty = figment::providers::Serialized::default(&key, figment::value::Dict::new());
    let whole = Figment::from(empty).merge(figment);
    let Strict { config, ignored } = whole.extract_inner(&key).map_err(Box::new)?;
    if let Some(name) = ignored {
        let path = format!("{key}.{name}");
        let place = whole.find_metadata(&path).or(whole.find_metadata(&key));
        let mut error = figment::Error::from(Kind::UnknownField(name, &[])).with_path(&key);
        error.metadata = place.cloned();
        error.profile = Some(whole.profile().clone());
        return Err(Box::new(error));
    }
    P::validate(&config)
        .map_err(|error| Box::new(figment::Error::from(format!("{error:#}")).with_path(&key)))?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use figment::providers::{Format, Toml};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Outer {
        #[serde(default)]
        name: String,
        #[serde(default)]
        inner: Vec<Inner>,
    }

    #[derive(Serialize, Deserialize)]
    struct Inner {
        size: u32,
    }

    struct Lax;

    #[async_trait]
    impl Plugin for Lax {
        const ID: &'static str = "lax";
        type Config = Outer;

        async fn build(_: PluginContext, _: Outer) -> anyhow::Result<Self> {
            Ok(Self)
        }

        fn register(self: &Arc<Self>, _: &mut Registrar) {}
    }

    #[test]
    fn a_key_that_the_type_passes_over_is_unknown_at_any_depth() {
        let read = |text: &str| config_of::<Lax>(&Figment::from(Toml::string(text)));
        for text in [
            "",
            "[plugins.lax]",
            "[plugins.lax]\nname = \"x\"\n[[plugins.lax.inner]]\nsize = 1",
            "[plugins.other]\nsize = 1",
        ] {
            assert!(read(text).is_ok(), "{text}");
        }
        for (text, key) in [
            ("[plugins.lax]\nnmae = \"x\"", "nmae"),
            (
                "[[plugins.lax.inner]]\nsize = 1\n[[plugins.lax.inner]]\nsize = 1\nsiez = 2",
                "siez",
            ),
        ] {
            let Err(error) = read(text) else {
                panic!("{text} is read");
            };
            assert!(matches!(error.kind, Kind::UnknownField(..)), "{error}");
            let said = error.to_string();
            assert!(said.contains(key) && said.contains("plugins.lax"), "{said}");
        }
    }
}
